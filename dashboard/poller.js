// Does one thing again and again: never twice at once, more seldom while it fails, not while nobody looks.

const MAX_BACKOFF_MS = 8_000;

export class Poller {
  #task;
  #intervalMs;
  #onFailure;
  #isRunning = false;
  #isStopped = true;
  #isHurried = false; // since the turn under way began
  #failures = 0;
  #wake = () => {};

  /** `task` is awaited; `onFailure` gets what it threw. Nothing happens before start(). */
  constructor(task, { intervalMs = 1_000, onFailure = () => {} } = {}) {
    this.#task = task;
    this.#intervalMs = intervalMs;
    this.#onFailure = onFailure;
  }

  start() {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    document.addEventListener("visibilitychange", this.#resume);
    window.addEventListener("online", this.#resume);
    this.#wake();
    if (!this.#isRunning) this.#run();
  }

  stop() {
    this.#isStopped = true;
    document.removeEventListener("visibilitychange", this.#resume);
    window.removeEventListener("online", this.#resume);
    this.#wake();
  }

  /** Again now, instead of after the pause. */
  hurry() {
    this.#failures = 0;
    this.#isHurried = true;
    this.#wake();
  }

  #resume = () => {
    if (!document.hidden) this.hurry();
  };

  async #run() {
    this.#isRunning = true;
    while (!this.#isStopped) {
      if (!document.hidden) await this.#once();
      if (!this.#isStopped) await this.#pause();
    }
    this.#isRunning = false;
  }

  async #once() {
    this.#isHurried = false;
    try {
      await this.#task();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#onFailure(error);
    }
  }

  /** Until the next turn is due, or somebody wakes us. Hidden pages set no timer at all. */
  #pause() {
    if (this.#isHurried && !document.hidden) return undefined;
    return new Promise((resolve) => {
      const timer = document.hidden ? undefined : setTimeout(resolve, this.#delayMs());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #delayMs() {
    if (this.#failures === 0) return this.#intervalMs;
    return Math.min(MAX_BACKOFF_MS, 500 * 2 ** this.#failures) * (0.75 + Math.random() / 2);
  }
}

/** Until the page is looked at. */
export function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })).then(seen);
}
