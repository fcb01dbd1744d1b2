// Numbers and times as people read them. Decimals come as strings and are shown exactly.

const LOCALE = "en-US";
const integer = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const four = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const two = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const one = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const exactlyOne = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const preciseClock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const date = new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" });
const MINUS = "\u2212"; // as wide as a plus sign

export const formatCount = (count) => integer.format(count);
export const formatPrice = (dollars) => four.format(dollars);
export const formatValue = (dollars) => two.format(dollars);
export const formatCompact = (number) => (number < 1_000 ? integer : compact).format(number);
export const formatRate = (perSecond) => (perSecond === null ? "–" : exactlyOne.format(perSecond));

const sign = (number) => (number > 0 ? "+" : number < 0 ? MINUS : "");

export const formatChange = (dollars) => sign(dollars) + formatPrice(Math.abs(dollars));

/** What would read as zero has no sign. */
export function formatPercent(percent) {
  const text = formatValue(Math.abs(percent));
  return `${Number(text) === 0 ? "" : sign(percent)}${text}%`;
}

/** The time of day here; with the date where it is not of today. */
export const formatTime = (ms, now = Date.now()) => withDate(clock, ms, now);
export const formatPreciseTime = (ms, now = Date.now()) => withDate(preciseClock, ms, now);

function withDate(time, ms, now) {
  const day = date.format(ms);
  return day === date.format(now) ? time.format(ms) : `${day} ${time.format(ms)}`;
}

/** A span of time, short: 0.4 s, 12 s, 3 min, 2 h. */
export function formatAge(ms) {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3_600)} h`;
}

/** What a broker delivered to: on a cluster (and here) a function's name is the first part of its host. */
export function formatFunction(url) {
  if (!URL.canParse(url)) return url;
  const { host, hostname } = new URL(url);
  return hostname.includes(".svc.") ? hostname.split(".")[0] : host;
}

export function formatBytes(bytes) {
  return bytes < 1_024 ? `${bytes} B` : `${one.format(bytes / 1_024)} KB`;
}

/** A decimal with 4 places, such as "32.1000", as a whole number of 1/10,000 dollars. */
export function parseTicks(text) {
  return BigInt(text.replace(".", ""));
}
