// The cart of the customer, to look at and to change.

import { path, read, write } from "./api.js";
import { command, curl } from "./as-command.js";
import { titleOf } from "./catalog.js";
import { h, panelHead, setText } from "./dom.js";
import { counted, money } from "./format.js";
import { tell } from "./last-action.js";
import { customerId, shopper } from "./shopper.js";

class ShopCart extends HTMLElement {
  #note = h("span", { class: "note" });
  #list = h("ul", { class: "lines" });
  #total = h("p", { class: "total" });
  #message = h("p", { class: "note", role: "status" });
  #version = -1;

  connectedCallback() {
    this.append(panelHead("Cart", this.#note), this.#list, this.#total, this.#message);
    shopper.addEventListener("cart", ({ detail }) => this.#show(detail));
    shopper.addEventListener("customer", () => this.start());
    shopper.addEventListener("order", () => this.#read());
    shopper.addEventListener("lines-at-fault", ({ detail }) => this.#markFaults(detail));
  }

  start() {
    this.#version = -1;
    setText(this.#message, "");
    return this.#read();
  }

  async #read() {
    const customer = customerId();
    try {
      const cart = await read(path("items", customer));
      if (customer === customerId()) {
        shopper.dispatchEvent(new CustomEvent("cart", { detail: cart }));
      }
    } catch (problem) {
      setText(this.#message, `The cart cannot be read: ${problem.message}.`);
    }
  }

  #show(cart) {
    // Answers may come out of order. Versions only grow, but a cart that was bought is gone, and has version 0.
    if (cart.customerId !== customerId() || (cart.version !== 0 && cart.version < this.#version)) {
      return;
    }
    this.#version = cart.version;
    setText(this.#note, cart.items.length === 0 ? "" : `${counted(cart.itemTotal, "item")}, version ${cart.version}`);
    setText(this.#total, cart.items.length === 0 ? "Nothing in it yet." : `Total ${money(cart.total)}`);
    this.#list.replaceChildren(...cart.items.map((line) => this.#line(line)));
  }

  #line({ itemId, itemCount, offeredPrice }) {
    const title = h("span", { class: "line-title" }, itemId);
    const setTo = (wanted) => this.#setCount(itemId, wanted);
    const less = h("button", { type: "button", onclick: () => setTo(itemCount - 1) }, "−");
    const more = h("button", { type: "button", onclick: () => setTo(itemCount + 1) }, "+");
    titleOf(itemId).then((text) => {
      setText(title, text);
      less.setAttribute("aria-label", `One less of ${text}`);
      more.setAttribute("aria-label", `One more of ${text}`);
    });
    return h("li", { "data-item": itemId }, title,
      h("span", { class: "stepper" }, less, h("output", {}, itemCount), more),
      h("span", { class: "price" }, money(offeredPrice * itemCount)),
      h("p", { class: "line-fault bad" }));
  }

  async #setCount(item, newCount) {
    const target = path("item", customerId(), item);
    setText(this.#message, "");
    try {
      const cart = await write("PUT", target, { newCount }, {
        onWait: (problem) => setText(this.#message, `${problem.message}; trying again with the same key.`),
      });
      shopper.dispatchEvent(new CustomEvent("cart", { detail: cart }));
    } catch (problem) {
      setText(this.#message, `Not changed: ${problem.message}.`);
      this.#read();
    }
    tell("Changed the cart", [
      ["curl", curl(target, { method: "PUT", body: { newCount }, isKeyed: true })],
      ["command", command("cart", "set", customerId(), item, String(newCount))],
    ]);
  }

  /** Says at each line why it cannot be sold. */
  #markFaults(lines) {
    for (const { itemId, reason, available } of lines) {
      const line = this.#list.querySelector(`[data-item="${CSS.escape(itemId)}"] .line-fault`);
      if (line) {
        setText(line, available > 0 ? `${reason}: ${available} left` : reason);
      }
    }
  }
}

customElements.define("shop-cart", ShopCart);
