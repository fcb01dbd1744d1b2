// When to ask again for what should have come up to a version, such as a number of trades. Two functions write
// the two, so an answer may be behind: then it is asked for again, ever more seldom, down to once a minute.

const FIRST_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

export class Renewal {
  #version = null;
  #tries = 0;
  #dueMs = 0;
  #earliestMs = 0;

  /** Whether it is time to ask for what is as new as `version`. */
  isDue(version, now = Date.now()) {
    if (version !== this.#version) {
      this.#version = version;
      this.#tries = 0;
      this.#dueMs = this.#earliestMs;
    }
    return now >= this.#dueMs;
  }

  /** There is an answer, as new as that version or not; the next one is asked for after `leastMs` at least. */
  note(isUpToDate, { leastMs = 0, now = Date.now() } = {}) {
    this.#tries += 1;
    this.#earliestMs = now + leastMs;
    const backoffMs = Math.min(FIRST_MS * 2 ** (this.#tries - 1), MAX_BACKOFF_MS);
    this.#dueMs = isUpToDate ? Infinity : now + Math.max(leastMs, backoffMs);
  }
}
