// From the cart to a paid order: the card, the address, and what became of it, also when somebody else was faster.

import { newKey, path, write } from "./api.js";
import { command, curl } from "./as-command.js";
import { titleOf } from "./catalog.js";
import { h, panelHead, setText } from "./dom.js";
import { money } from "./format.js";
import { tell } from "./last-action.js";
import { customerId, shopper } from "./shopper.js";

/** The cards of the simulated gateway: docs/payment.md has them too. */
const CARDS = [
  ["4242424242424242", "pays"],
  ["4242424242420002", "is declined"],
  ["4242424242420119", "pays, but its answer comes after 8 s"],
  ["4242424242420069", "gets lost: refused after 8 s, then tried again"],
  ["4242424242420259", "is authorised, but the money cannot be taken"],
];

class ShopCheckout extends HTMLElement {
  #card = h("select", { name: "card" }, ...CARDS.map(([number, what]) =>
    h("option", { value: number }, `… ${number.slice(-4)} ${what}`)));
  #address = h("input", { name: "address", autocomplete: "off", value: "1 Main St, Springfield" });
  #pay = h("button", { class: "first pay" }, "Pay");
  #outcome = h("div", { class: "outcome", role: "status" });
  /** The order that is being placed: its body as text and its key, kept while its outcome is unknown. */
  #attempt = null;
  #acceptsPrices = false;

  connectedCallback() {
    this.append(
      panelHead("Checkout", "test cards: no money moves"),
      h("form", { class: "checkout", onsubmit: (event) => this.#submit(event) },
        h("label", {}, "Card", this.#card),
        h("label", {}, "Deliver to", this.#address),
        this.#pay),
      this.#outcome);
    this.#pay.disabled = true;
    shopper.addEventListener("cart", ({ detail: cart }) => this.#offer(cart));
    shopper.addEventListener("customer", () => this.#outcome.replaceChildren());
  }

  #offer(cart) {
    if (cart.customerId !== customerId()) {
      return;
    }
    this.#pay.disabled = cart.items.length === 0;
    setText(this.#pay, cart.items.length === 0 ? "Pay" : `Pay ${money(cart.total)}`);
  }

  async #submit(event) {
    event.preventDefault();
    const customer = customerId();
    const target = path("checkout", customer);
    const body = { payment: { card_number: this.#card.value, expiry: "12/30" } };
    if (this.#address.value.trim() !== "") {
      body.address = this.#address.value.trim();
    }
    if (this.#acceptsPrices) {
      body.acceptPriceChanges = true;
    }
    this.#say("", "Placing the order: holding the stock, asking the gateway.");
    this.#pay.disabled = true;
    try {
      const order = await write("POST", target, body, {
        key: this.#keyFor(target, body),
        onWait: (problem, attempts) => this.#say("warn", `${sentence(problem.message)} Trying again with the same key (${attempts + 1}).`),
      });
      this.#attempt = null;
      this.#acceptsPrices = false;
      await this.#sayPlaced(order);
      shopper.dispatchEvent(new CustomEvent("order", { detail: order.order_id }));
    } catch (problem) {
      this.#pay.disabled = false;
      this.#attempt = problem.isPassing ? this.#attempt : null;
      this.#sayRefused(problem);
    }
    tell("Bought the cart", [
      ["curl", curl(target, { method: "POST", body, isKeyed: true })],
      ["command", command("cart", "checkout", customer, ...(body.address ? ["--address", body.address] : []))],
    ]);
  }

  /** The key of this order. The same order with an unknown outcome has the same key, so that it is paid once. */
  #keyFor(target, body) {
    const text = `${target} ${JSON.stringify(body)}`;
    if (this.#attempt?.text !== text) {
      this.#attempt = { text, key: newKey() };
    }
    return this.#attempt.key;
  }

  async #sayPlaced(order) {
    const titles = await Promise.all(order.items.map(({ id }) => titleOf(id)));
    this.#say("good", `Order placed, ${money(order.total)}.`, `Yours: ${titles.join("; ")}. Its way is below.`);
  }

  #sayRefused(problem) {
    const { lines, code, status } = problem;
    if (code === "sale_expired") {
      const again = h("button", { type: "button", onclick: () => this.#acceptPrices() }, "Accept the new price");
      this.#say("warn", "A sale has ended.", "Nothing was bought, and the cart is as it was.", again);
    } else if (code === "out_of_stock" || code === "stock_held") {
      this.#say("bad", "Somebody else was faster.", "What you wanted is sold. You were not charged, and your cart is as it was.");
    } else if (status === 402) {
      this.#say("bad", "The card was declined.", "You were not charged, the stock is free again, and your cart is as it was.");
    } else if (problem.isPassing) {
      this.#say("warn", "No final answer yet.", `${sentence(problem.message)} Press Pay again: it has the same key, so it is bought once.`);
    } else {
      this.#say("bad", "Not bought.", sentence(problem.message));
    }
    shopper.dispatchEvent(new CustomEvent("lines-at-fault", { detail: lines }));
  }

  #acceptPrices() {
    this.#acceptsPrices = true;
    this.querySelector("form").requestSubmit();
  }

  #say(tone, title, text = "", ...more) {
    this.#outcome.className = `outcome ${tone}`;
    this.#outcome.replaceChildren(h("strong", {}, title), text === "" ? "" : h("p", {}, text), ...more);
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

customElements.define("shop-checkout", ShopCheckout);
