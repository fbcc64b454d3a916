// Says whether what the page shows is current, and pauses it.

import { access, askForKey, currentKey, isDevelopment, setKey } from "./access.js";
import { h, setText } from "./dom.js";
import { clock } from "./format.js";

const STATES = {
  connecting: ["", "connecting"],
  live: ["good", "live, every second"],
  paused: ["", "paused"],
  away: ["bad", "no answer, trying again"],
  denied: ["warn", "an API key is needed"],
};

class FeedState extends HTMLElement {
  #feed = null;
  #lamp = h("span", { class: "lamp", "aria-hidden": "true" });
  #text = h("span");
  #pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.#toggle() }, "Pause");
  #key = h("button", { type: "button", onclick: () => this.#changeKey() });

  set feed(feed) {
    this.#feed = feed;
    this.append(h("span", { class: "feed", role: "status" }, this.#lamp, this.#text), this.#pause, this.#key);
    feed.addEventListener("state", () => this.#show());
    feed.addEventListener("status", () => this.#show());
    access.addEventListener("changed", () => this.#show());
    this.#show();
  }

  #show() {
    const { state, status } = this.#feed;
    const [tone, text] = STATES[state];
    this.#lamp.className = `lamp ${tone}`;
    const isOld = state !== "live" && status !== null;
    setText(this.#text, isOld ? `${text}; as of ${clock(status.at)}` : text);
    setText(this.#key, currentKey() === null ? "Enter key" : isDevelopment() ? "Development key" : "Forget key");
    this.#key.disabled = isDevelopment();
    this.#key.title = isDevelopment() ? "No API key is configured, so that this page uses secret123 by itself." : "";
  }

  #toggle() {
    this.#feed.isPaused = !this.#feed.isPaused;
    this.#pause.setAttribute("aria-pressed", this.#feed.isPaused);
    setText(this.#pause, this.#feed.isPaused ? "Go on" : "Pause");
  }

  #changeKey() {
    if (currentKey() !== null) {
      setKey(null);
    } else if (this.#feed.state === "denied") {
      this.#feed.askAgain();
    } else {
      askForKey(null);
    }
  }
}

customElements.define("feed-state", FeedState);
