// The brief green or red on a symbol whose price changed: when it is due, and that it ends.

export const FLASH_MS = 1_000;

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Notes that the price rose (1) or fell (-1) at a time in ms. */
export function setFlash(entry, direction, now) {
  entry.flash = direction;
  entry.flashUntil = now + FLASH_MS;
}

/** 1, -1, or 0 for none: over, or unwanted by who looks. */
export function flashOf(entry, now = Date.now()) {
  return calm.matches || now >= entry.flashUntil ? 0 : entry.flash;
}
