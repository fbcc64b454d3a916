// Says who buys, and lets the reader be another customer, here or in a second window.

import { h } from "./dom.js";
import { addressOfAnother, become, customerId } from "./shopper.js";

class ShopperBar extends HTMLElement {
  connectedCallback() {
    const input = h("input", { name: "customer", value: customerId(), autocomplete: "off", spellcheck: "false", required: true,
      maxlength: 128 });
    const form = h("form", { class: "shopper", onsubmit: (event) => {
      event.preventDefault();
      become(input.value.trim());
    } }, h("label", {}, h("span", {}, "Customer"), input), h("button", {}, "Switch"));
    const another = h("a", { class: "button", target: "_blank", rel: "noopener", href: addressOfAnother(),
      title: "Opens a second window with a cart of its own: try to buy the same last copy in both" }, "Second shopper");
    another.addEventListener("click", () => {
      another.href = addressOfAnother();
    });
    this.append(form, another);
  }
}

customElements.define("shopper-bar", ShopperBar);
