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
  #shown = [];
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
    this.#parts.newer.addEventListener("click", () => {
      this.#draw({ anew: true });
      this.#parts.list.scrollTop = 0;
    });
    this.#parts.list.addEventListener("toggle", () => this.#draw(), true); // it doesn't bubble
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
      this.#setPaused(false); // what was held still is not what is asked for now
      this.#poller.hurry();
    }
    if (isShown && !this.#isPaused) this.#poller.start();
    else this.#poller.stop();
    const isOther = ["find", "function", "verdict", "view"].some((name) => before[name] !== state[name]);
    if (isShown) this.#draw({ anew: isOther });
  }

  #pause(isPaused) {
    this.#setPaused(isPaused);
    this.#follow();
  }

  #setPaused(isPaused) {
    this.#isPaused = isPaused;
    this.#parts.pause.ariaPressed = String(isPaused);
    setText(this.#parts.pause, isPaused ? "Resume" : "Pause");
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

  /** The newest events; but while one is opened, those that are there stay where they are, unless `anew`. */
  #draw({ anew = false } = {}) {
    const { state } = this.#address;
    if (state.function) this.#offer(state.function);
    for (const name of ["find", "function", "verdict"]) {
      if (this.#parts[name].value !== state[name]) this.#parts[name].value = state[name];
    }
    const found = this.#tail.events().filter((event) => matches(event, state.find));
    const newest = found.slice(0, MAX_SHOWN);
    const isRead = !anew && [...this.#items.values()].some(({ content }) => content.node.open);
    this.#shown = isRead ? this.#shown.map((event) => this.#tail.get(event.key) ?? event) : newest;
    const keys = new Set(this.#shown.map((event) => event.key));
    for (const key of this.#items.keys()) if (!keys.has(key)) this.#items.delete(key);
    arrange(this.#parts.list, this.#shown.map((event) => this.#itemOf(event)));
    this.#showState(found.length);
    this.#showNewer(newest.filter((event) => !keys.has(event.key)).length);
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

  #showNewer(count) {
    const many = count === MAX_SHOWN ? `${MAX_SHOWN} or more` : formatCount(count);
    this.#parts.newer.hidden = count === 0;
    setText(this.#parts.newer, `↑ ${many} newer event${count === 1 ? "" : "s"}`);
  }

  #say(text, isError = false) {
    setText(this.#parts.count, isError ? `${text} Asking again.` : text);
    this.#parts.count.classList.toggle("error", isError);
  }
}

customElements.define("events-view", EventsView);
