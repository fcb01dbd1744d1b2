// The view of raw events as they come, with what each function made of them.

import { api } from "./api.js";
import { arrange, element, setText } from "./dom.js";
import { EventItem } from "./event-item.js";
import { formatCount } from "./format.js";
import { Poller } from "./poller.js";
import { matches, Tail } from "./tail.js";
import { nameOf, VERDICTS } from "./verdict.js";

const LIMIT = 150; // deliveries in a request
const MAX_SHOWN = 100;
const FUNCTIONS = ["store_trade", "update_summary"];

export class EventsView extends HTMLElement {
  #address;
  #tail = new Tail();
  #items = new Map();
  #poller = new Poller(() => this.#turn(), { onFailure: (error) => this.#say(error.message, true) });
  #isPaused = false;
  #hasAnswer = false;
  #parts = {};

  setUp(address) {
    this.#address = address;
    for (const part of this.querySelectorAll("[data-part]")) this.#parts[part.dataset.part] = part;
    const { find, verdict, pause } = this.#parts;
    this.#parts.function.append(...FUNCTIONS.map((name) => new Option(nameOf(name), name)));
    verdict.append(...VERDICTS.map((name) => new Option(name, name)));
    find.addEventListener("input", () => address.set({ find: find.value }, { replaces: true }));
    for (const name of ["function", "verdict"]) {
      this.#parts[name].addEventListener("change", () => address.set({ [name]: this.#parts[name].value }));
    }
    pause.addEventListener("click", () => this.#pause(!this.#isPaused));
    address.addEventListener("change", ({ detail }) => this.#follow(detail.before));
    this.#follow();
    return this;
  }

  /** Again now: something has just been sent. */
  hurry() {
    this.#poller.hurry();
  }

  #follow(before = this.#address.state) {
    const { state } = this.#address;
    const isShown = state.view === "events";
    if (before.function !== state.function || before.verdict !== state.verdict) {
      this.#tail.clear();
      this.#hasAnswer = false;
      this.#poller.hurry();
    }
    if (isShown && !this.#isPaused) this.#poller.start();
    else this.#poller.stop();
    if (isShown) this.#draw();
  }

  #pause(isPaused) {
    this.#isPaused = isPaused;
    this.#parts.pause.ariaPressed = String(isPaused);
    setText(this.#parts.pause, isPaused ? "Resume" : "Pause");
    this.#follow();
  }

  async #turn() {
    const { function: name, verdict } = this.#address.state;
    const { events } = await api.events({ limit: LIMIT, function: name, verdict });
    const { state } = this.#address;
    if (this.#isPaused || state.function !== name || state.verdict !== verdict) return;
    this.#hasAnswer = true;
    this.#tail.merge(events);
    for (const known of new Set(events.map((event) => event.function))) this.#offer(known);
    this.#draw();
  }

  /** A function that was attached since can be chosen too. */
  #offer(name) {
    const { options } = this.#parts.function;
    if (![...options].some((option) => option.value === name)) options.add(new Option(nameOf(name), name));
  }

  #draw() {
    const { state } = this.#address;
    if (state.function) this.#offer(state.function);
    for (const name of ["find", "function", "verdict"]) {
      if (this.#parts[name].value !== state[name]) this.#parts[name].value = state[name];
    }
    const found = this.#tail.events().filter((event) => matches(event, state.find));
    const shown = found.slice(0, MAX_SHOWN);
    const keys = new Set(shown.map((event) => event.key));
    for (const key of this.#items.keys()) if (!keys.has(key)) this.#items.delete(key);
    arrange(this.#parts.list, shown.map((event) => this.#itemOf(event)));
    this.#showState(found.length);
  }

  #itemOf(event) {
    let item = this.#items.get(event.key);
    if (!item) this.#items.set(event.key, (item = { content: new EventItem(), node: element("li") }));
    if (!item.node.firstChild) item.node.append(item.content.node);
    item.content.show(event);
    return item.node;
  }

  #showState(found) {
    const { find, function: name, verdict } = this.#address.state;
    const isFiltered = find || name || verdict;
    this.#parts.empty.hidden = found > 0 || !this.#hasAnswer;
    this.#parts.empty.dataset.state = isFiltered ? "filtered" : "none";
    const what = found > MAX_SHOWN ? `newest ${MAX_SHOWN} events` : `${formatCount(found)} event${found === 1 ? "" : "s"}`;
    this.#say(this.#isPaused ? `paused · ${what}` : this.#hasAnswer ? what : "loading …");
  }

  #say(text, isError = false) {
    setText(this.#parts.count, isError ? `${text} Asking again.` : text);
    this.#parts.count.classList.toggle("error", isError);
  }
}

customElements.define("events-view", EventsView);
