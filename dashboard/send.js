// The form that sends a trade, right or wrong, and shows what becomes of it.

import { api } from "./api.js";
import { setText } from "./dom.js";
import { Fate } from "./fate.js";
import { makeBroken, makeConflict, makeDuplicate, makeEvent, makeId, toCurl } from "./sample.js";

const EXPLAINS = {
  valid: "A new trade: stored once, counted once.",
  duplicate: "The same event again: recognised by its source and id, so nothing is counted twice.",
  broken: "A trade at a price below zero: refused with its reason, and kept in the dead letters.",
  conflict: "An id that is known, with another trade: refused, and kept in the dead letters.",
};
const MAX_FATES = 6;

export class SendForm extends HTMLElement {
  #address;
  #onSent;
  #form;
  #store;
  #last = null; // the last valid event that was sent
  #fate = null; // of what was sent last
  #nextId = makeId(); // of the event that the command would send
  #isPriceTheirs = false; // the user has written a price
  #parts = {};

  /** `onSent` is called when the broker has answered. */
  setUp(store, address, onSent) {
    this.#store = store;
    this.#address = address;
    this.#onSent = onSent;
    this.#form = this.querySelector("form");
    for (const part of this.querySelectorAll("[data-part]")) this.#parts[part.dataset.part] = part;
    this.#form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#send();
    });
    this.#form.addEventListener("input", ({ target }) => {
      this.#isPriceTheirs ||= target.name === "price";
      this.suggest();
    });
    this.#parts.copy.addEventListener("click", () => this.#copy());
    this.#parts.curl.closest("details").addEventListener("toggle", () => this.#renewCommand());
    this.suggest();
    return this;
  }

  /** A price near the market, so that a trade to try things out doesn't look like a crash. */
  suggest() {
    const known = this.#store.get(this.#trade().ticker);
    if (known && !this.#isPriceTheirs) this.#form.elements.price.value = known.priceText;
    this.#explain();
  }

  get #kind() {
    return this.#form.elements.kind.value;
  }

  #trade() {
    const { ticker, price, volume } = this.#form.elements;
    return { ticker: ticker.value.trim(), price: price.value.trim(), volume: Number(volume.value) };
  }

  #explain() {
    setText(this.#parts.explain, EXPLAINS[this.#kind]);
    setText(this.#parts.curl, toCurl(this.#make(makeEvent(this.#nextId, this.#trade()))));
  }

  /** Another trade under the same id would be a conflict: each command that is shown or copied has its own. */
  #renewCommand() {
    this.#nextId = makeId();
    this.#explain();
  }

  /** The event of the chosen kind, made from a valid one. */
  #make(event, kind = this.#kind) {
    if (kind === "broken") return makeBroken(event);
    const known = this.#last ?? event;
    if (kind === "duplicate") return makeDuplicate(known);
    return kind === "conflict" ? makeConflict(known) : event;
  }

  async #send() {
    this.#parts.send.disabled = true;
    const valid = makeEvent(makeId(), this.#trade());
    const needsOriginal = ["duplicate", "conflict"].includes(this.#kind);
    const kind = this.#kind;
    if (needsOriginal && !this.#last) await this.#deliver(valid, "valid");
    if (needsOriginal) await this.#fate?.settled; // else the two would overtake each other
    if (!needsOriginal || this.#last) await this.#deliver(this.#make(valid, kind), kind);
    this.#parts.send.disabled = false;
  }

  async #deliver(event, kind) {
    this.#fate = new Fate(event, kind, this.#address);
    this.#parts.fates.prepend(this.#fate.node);
    while (this.#parts.fates.children.length > MAX_FATES) this.#parts.fates.lastElementChild.remove();
    const isSent = await this.#fate.send(api);
    if (isSent && kind === "valid") this.#last = event;
    this.#onSent();
    this.#fate.settled.then(this.#onSent);
  }

  async #copy() {
    this.#renewCommand();
    const text = this.#parts.curl.textContent;
    try {
      await navigator.clipboard.writeText(text);
      setText(this.#parts.copy, "Copied");
    } catch {
      getSelection().selectAllChildren(this.#parts.curl); // no clipboard here: Ctrl-C copies what is selected
      setText(this.#parts.copy, "Selected");
    }
    setTimeout(() => setText(this.#parts.copy, "Copy"), 2_000);
  }
}

customElements.define("send-form", SendForm);
