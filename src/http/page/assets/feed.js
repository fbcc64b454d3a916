// Keeps the page up to date: /status with its history once, then the stream of it, one update a second. While the tab
// is hidden or the reader pauses, nothing is open, since a browser has only six connections to a store.

import { askForKey, useDevelopmentKey } from "./access.js";
import { open, pauseAfter, Problem, read, sleep } from "./api.js";
import { events } from "./event-stream.js";
import { History } from "./history.js";

/** The time without an update after which a stream counts as dead, in milliseconds. */
const SILENCE_MS = 6_000;

/**
 * What the page follows. Events: `status` when there is a new one, `state` when the connection changes.
 * States: `connecting`, `live`, `paused`, `away`, `denied`.
 */
export class Feed extends EventTarget {
  history = new History();
  /** @type {Object|null} the newest answer of /status */
  status = null;
  state = "connecting";
  /** @type {Problem|null} why it is `away`, where the store has said so */
  problem = null;
  #isPaused = false;
  /** @type {AbortController|null} ends the stream that is open */
  #stream = null;
  #wake = () => {};

  start() {
    document.addEventListener("visibilitychange", () => this.#reconsider());
    this.#run();
  }

  get isPaused() {
    return this.#isPaused;
  }

  set isPaused(isPaused) {
    this.#isPaused = isPaused;
    this.#reconsider();
  }

  /** Asks for the key again, after the reader has declined once. */
  async askAgain() {
    if (await askForKey(null)) {
      this.#wake();
    }
  }

  get #mayRun() {
    return !this.#isPaused && document.visibilityState === "visible";
  }

  #reconsider() {
    if (this.#mayRun) {
      this.#wake();
    } else {
      this.#stream?.abort();
    }
  }

  async #run() {
    for (let attempts = 0; ; attempts += 1) {
      if (!this.#mayRun) {
        this.#enter("paused");
        await this.#untilWoken();
        attempts = 0;
      }
      const before = this.status;
      this.problem = await this.#follow();
      if (this.problem?.wantsKey) {
        this.#enter("denied");
        await this.#untilWoken();
      } else if (this.#mayRun) {
        this.#enter("away");
        attempts = this.status === before ? attempts : 0;
        await sleep(pauseAfter(this.problem ?? {}, attempts + 1));
      }
    }
  }

  /** Follows the store until the stream ends. Returns why it ended, where the store said so. */
  async #follow() {
    this.#stream = new AbortController();
    const { signal } = this.#stream;
    let guard = null;
    try {
      this.#take(await read(`status?history=${this.history.missing()}`, { signal }));
      const response = await open("status/stream", { signal });
      this.#enter("live");
      const watch = () => {
        clearTimeout(guard);
        guard = setTimeout(() => this.#stream.abort(), SILENCE_MS);
      };
      watch();
      for await (const { event, data } of events(response)) {
        watch();
        if (event === "status") {
          this.#take(JSON.parse(data));
        }
      }
      return null;
    } catch (error) {
      return error instanceof Problem ? error : null;
    } finally {
      clearTimeout(guard);
    }
  }

  #take(status) {
    if (status.development_key) {
      useDevelopmentKey();
    }
    this.history.add(status);
    this.status = status;
    this.dispatchEvent(new Event("status"));
  }

  #enter(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  #untilWoken() {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
