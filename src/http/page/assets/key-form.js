// Asks for the API key, checks it with the store, and tells a wrong one. It stays in memory: see access.js.

import { access } from "./access.js";
import { checkKey } from "./api.js";
import { h, setText } from "./dom.js";

class KeyForm extends HTMLElement {
  #answer = () => {};
  #dialog = null;
  #input = null;
  #message = null;

  connectedCallback() {
    this.#input = h("input", { type: "password", name: "key", autocomplete: "off", required: true });
    this.#message = h("p", { role: "alert", class: "bad" });
    const form = h("form", { onsubmit: (event) => this.#submit(event) },
      h("h2", { id: "key-title" }, "API key"),
      h("p", { class: "note" }, "This store wants one. It stays in this tab's memory and is gone when the tab is closed. " +
        "A new key: shardcart keys new."),
      h("label", {}, "Key", this.#input),
      this.#message,
      h("div", { class: "actions end" },
        h("button", { type: "button", onclick: () => this.#close(null) }, "Cancel"),
        h("button", { class: "first" }, "Use this key")));
    this.#dialog = h("dialog", { "aria-labelledby": "key-title", oncancel: () => this.#close(null) }, form);
    this.append(this.#dialog);
    access.addEventListener("asked", ({ detail }) => this.#ask(detail));
  }

  #ask({ problem, answer }) {
    this.#answer = answer;
    this.#input.value = "";
    setText(this.#message, problem?.status === 403 ? `This key is not enough: ${problem.message}.` : "");
    this.#dialog.showModal();
  }

  async #submit(event) {
    event.preventDefault();
    const key = this.#input.value.trim();
    // A header takes no other characters, and no key has them.
    if (!/^[!-~]+$/.test(key)) {
      setText(this.#message, "A key is made of letters, digits and signs, without spaces.");
      return;
    }
    try {
      await checkKey(key);
      this.#close(key);
    } catch (problem) {
      const isWrong = problem.status === 401;
      setText(this.#message, isWrong ? "The store does not know this key." : `Not checked: ${problem.message}.`);
      this.#input.select();
    }
  }

  #close(key) {
    this.#dialog.close();
    this.#answer(key);
  }
}

customElements.define("key-form", KeyForm);
