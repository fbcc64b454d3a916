// The foot of the page: which store and which release this is.

import { h, setText } from "./dom.js";
import { clock } from "./format.js";

class StoreFacts extends HTMLElement {
  #release = h("span");
  #store = h("span");
  #snapshot = h("span");

  connectedCallback() {
    this.append(this.#release, this.#store, this.#snapshot);
  }

  update(status) {
    setText(this.#release, `shardcart ${status.version}`);
    setText(this.#store, status.store_id ? `store ${status.store_id}` : "");
    setText(this.#snapshot, `snapshot ${status.snapshot}, ${clock(status.at)}`);
  }
}

customElements.define("store-facts", StoreFacts);
