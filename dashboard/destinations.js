// Names of the functions that a broker delivers to. On a cluster the name is in the URL; on a laptop the URL
// is a port of this machine, and the local broker's status tells whose.

const NO_STATUS = 404; // there is no local broker

const isAddress = (hostname) => /^[\d.]+$|:/.test(hostname);

export class Destinations {
  #api;
  #names = new Map(); // by host and port

  constructor(api) {
    this.#api = api;
  }

  /** Asks the broker, if it has to be asked for one of these URLs: once for each that is new. */
  async learn(urls) {
    const unknown = new Set(urls.filter((url) => URL.canParse(url) && isAddress(new URL(url).hostname)).map(hostOf));
    for (const host of this.#names.keys()) unknown.delete(host);
    if (!unknown.size) return;
    const status = await this.#api.brokerStatus().catch(({ status }) => (status === NO_STATUS ? { triggers: [] } : null));
    if (!status) return; // asked again with the next letters
    const { triggers } = status;
    for (const { name, subscriber } of triggers) this.#names.set(hostOf(subscriber), name.split("/").at(-1));
    for (const host of unknown) if (!this.#names.has(host)) this.#names.set(host, host);
  }

  /** The first part of a host's name, what the broker calls the function, or what there is. */
  nameOf(url) {
    if (!URL.canParse(url)) return url;
    const { host, hostname } = new URL(url);
    return isAddress(hostname) ? (this.#names.get(host) ?? host) : hostname.split(".")[0];
  }
}

const hostOf = (url) => new URL(url).host;
