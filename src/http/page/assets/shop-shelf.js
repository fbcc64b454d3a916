// The shelf: the catalog by topic, with what is left of each product.

import { path, write } from "./api.js";
import { command, curl } from "./as-command.js";
import { browse, topics } from "./catalog.js";
import { h, panelHead, setText } from "./dom.js";
import { count, money } from "./format.js";
import { tell } from "./last-action.js";
import { customerId, shopper } from "./shopper.js";

/** The time between two looks at the stock while the page is visible, in milliseconds. */
const INTERVAL_MS = 4_000;
/** From this number on a product counts as scarce. */
const SCARCE = 3;

class ShopShelf extends HTMLElement {
  #topics = h("div", { class: "topics", role: "group", "aria-label": "Topics" });
  #list = h("ul", { class: "products" });
  #message = h("p", { class: "note", role: "status" });
  #more = h("button", { type: "button", onclick: () => this.#readMore() }, "More");
  #topic = null;
  #cursor = null;
  /** @type {Map<string, {stock: HTMLElement, button: HTMLElement}>} what changes of each product that is shown */
  #shown = new Map();

  connectedCallback() {
    this.#more.hidden = true;
    this.append(panelHead("Catalog", "what can be bought now"), this.#topics, this.#list, this.#message, this.#more);
    shopper.addEventListener("order", () => {
      setText(this.#message, "");
      this.#lookAgain();
    });
    shopper.addEventListener("stock", () => this.#lookAgain());
    shopper.addEventListener("customer", () => setText(this.#message, ""));
  }

  async start() {
    setInterval(() => document.visibilityState === "visible" && this.#lookAgain(), INTERVAL_MS);
    try {
      this.#offerTopics(await topics());
    } catch (problem) {
      setText(this.#message, `The topics are not known: ${problem.message}.`);
    }
    this.#choose(null);
  }

  #offerTopics(names) {
    const choices = [[null, "everything"], ...names.map((name) => [name, name])];
    this.#topics.replaceChildren(...choices.map(([topic, label]) => h("button", {
      type: "button", "aria-pressed": String(topic === this.#topic),
      onclick: (event) => {
        for (const button of this.#topics.children) {
          button.setAttribute("aria-pressed", String(button === event.currentTarget));
        }
        this.#choose(topic);
      },
    }, label)));
  }

  async #choose(topic) {
    this.#topic = topic;
    this.#cursor = null;
    const isFirst = await this.#readPage(null, () => this.#clear());
    if (isFirst && this.#shown.size === 0) {
      setText(this.#message, "There is nothing here.");
    }
  }

  #clear() {
    this.#shown.clear();
    this.#list.replaceChildren();
    setText(this.#message, "");
  }

  #readMore() {
    return this.#readPage(this.#cursor, () => {});
  }

  /** Reads a page and shows it. Returns false when the reader has chosen another topic meanwhile, or it failed. */
  async #readPage(cursor, prepare) {
    const topic = this.#topic;
    try {
      const page = await browse(topic, cursor);
      if (topic !== this.#topic) {
        return false;
      }
      prepare();
      // What has no topic is not for this shelf, such as the products of simulated shoppers.
      page.items.filter(({ topic }) => topic !== null).forEach((product) => this.#show(product));
      this.#cursor = page.next_cursor;
      this.#more.hidden = page.next_cursor === null;
      return true;
    } catch (problem) {
      setText(this.#message, `The catalog cannot be read: ${problem.message}.`);
      return false;
    }
  }

  #show(product) {
    const stock = h("span", { class: "stock-left" });
    const button = h("button", { type: "button", "aria-label": `Add ${product.title} to the cart`,
      onclick: () => this.#add(product) }, "Add");
    this.#shown.set(product.id, { stock, button });
    this.#list.append(h("li", { "data-product": product.id },
      h("div", { class: "product" }, h("h3", {}, product.title),
        h("p", { class: "note" }, [product.author, product.topic].filter(Boolean).join(", "))),
      stock,
      h("span", { class: "price" }, money(product.price)),
      button));
    this.#sayStock(product);
  }

  #sayStock({ id, stock: left }) {
    const { stock, button } = this.#shown.get(id);
    const text = left === 0 ? "sold out" : left === 1 ? "last copy" : `${count(left)} left`;
    setText(stock, text);
    stock.className = left > 0 && left <= SCARCE ? "stock-left warn" : "stock-left";
    button.disabled = left === 0;
  }

  async #lookAgain() {
    const topic = this.#topic;
    try {
      const { items } = await browse(topic);
      if (topic === this.#topic) {
        items.filter(({ id }) => this.#shown.has(id)).forEach((product) => this.#sayStock(product));
      }
    } catch {
      // What is shown stays; the next look is due in a few seconds.
    }
  }

  async #add(product) {
    const target = path("item", customerId(), product.id);
    const body = { offeredPrice: product.price, itemCount: 1 };
    setText(this.#message, "");
    try {
      const cart = await write("POST", target, body, {
        onWait: (problem) => setText(this.#message, `${problem.message}; trying again with the same key.`),
      });
      this.#message.replaceChildren(`In the cart: ${product.title}. `, h("a", { href: "#cart" }, "To the cart"));
      shopper.dispatchEvent(new CustomEvent("cart", { detail: cart }));
    } catch (problem) {
      setText(this.#message, `Not added: ${problem.message}.`);
    }
    tell("Put into the cart", [
      ["curl", curl(target, { method: "POST", body, isKeyed: true })],
      ["command", command("cart", "add", customerId(), product.id)],
    ]);
  }
}

customElements.define("shop-shelf", ShopShelf);
