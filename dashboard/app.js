// Puts the page together.

import { Address } from "./address.js";
import "./events.js";
import { Feed } from "./feed.js";
import "./letters.js";
import { Masthead } from "./masthead.js";
import "./send.js";
import { TickerStore } from "./store.js";
import "./symbols.js";
import { setUpTheme } from "./theme.js";

const address = new Address();
const store = new TickerStore();
let wasLoaded = false;
const feed = new Feed(store, () => {
  masthead.show();
  symbols.renew();
  if (store.isLoaded && !wasLoaded) send.suggest();
  wasLoaded = store.isLoaded;
});
const masthead = new Masthead(feed);

const symbols = document.querySelector("symbols-view").setUp(store, address);
const events = document.querySelector("events-view").setUp(address);
const letters = document.querySelector("letters-view").setUp(address);
const send = document.querySelector("send-form").setUp(store, address, () => {
  events.hurry();
  letters.hurry();
  feed.hurry();
});

const TITLES = { symbols: "Tradewind", events: "Events · Tradewind", letters: "Dead letters · Tradewind" };

function showView() {
  const { view } = address.state;
  document.title = TITLES[view];
  symbols.hidden = view !== "symbols";
  events.hidden = view !== "events";
  letters.hidden = view !== "letters";
  send.hidden = view === "symbols";
  send.suggest();
  document.querySelector("main").dataset.view = view;
  for (const link of document.querySelectorAll("a[data-view]")) {
    if (link.dataset.view === view && link.closest("nav")) link.ariaCurrent = "page";
    else link.ariaCurrent = null;
  }
}

document.addEventListener("click", (click) => {
  const link = click.target.closest("a[data-view]");
  if (!link || click.ctrlKey || click.metaKey || click.shiftKey) return;
  click.preventDefault();
  address.set({ view: link.dataset.view });
});

document.addEventListener("keydown", (press) => {
  const isTyping = press.target.closest("input, textarea, select");
  if (press.key !== "/" || isTyping || press.ctrlKey || press.metaKey || press.altKey) return;
  press.preventDefault();
  if (address.state.view !== "symbols") address.set({ view: "symbols" });
  symbols.search();
});

address.addEventListener("change", showView);
setUpTheme(document.querySelector("#theme"));
showView();
symbols.show();
feed.start();
