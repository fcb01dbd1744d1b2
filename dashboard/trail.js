// The last prices of a symbol, for its sparkline.

const MAX_PRICES = 48;

export class Trail {
  #prices = new Float32Array(MAX_PRICES); // all that it will ever take: four thousand of them grow no more
  length = 0;

  constructor(price) {
    this.add(price);
  }

  /** The oldest makes room. */
  add(price) {
    if (this.length === MAX_PRICES) this.#prices.copyWithin(0, 1);
    else this.length += 1;
    this.#prices[this.length - 1] = price;
  }

  /** Oldest first. */
  get prices() {
    return [...this.#prices.subarray(0, this.length)];
  }
}
