// Looks up a customer (hash, slot, shard, cart, orders) or an order (its steps), and says how to do the same from a
// terminal.

import { currentKey } from "./access.js";
import { path, read } from "./api.js";
import { asCommand, command, curl } from "./as-command.js";
import { cartTable } from "./cart-table.js";
import { h, panelHead, shardDot } from "./dom.js";
import { count } from "./format.js";
import { orderTag, shortId } from "./order-words.js";
import { orderView } from "./order-timeline.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The number of a customer's orders that are shown. */
const ORDERS = 5;

class LookUp extends HTMLElement {
  #input = h("input", { name: "id", autocomplete: "off", spellcheck: "false", required: true, placeholder: "alice" });
  #result = h("div", { class: "found", role: "status" });
  /** Counts what was asked for, so that a late answer to an earlier question is dropped. */
  #asked = 0;

  connectedCallback() {
    this.append(
      panelHead("Look up", "where a cart is, what became of an order"),
      h("form", { class: "look-up-form", onsubmit: (event) => this.#submit(event) },
        h("label", {}, h("span", { class: "unseen" }, "Customer id or order id"), this.#input),
        h("button", { name: "what", value: "customer" }, "Customer"),
        h("button", { name: "what", value: "order" }, "Order")),
      this.#result);
    this.#result.append(h("p", { class: "note" }, "A customer's id is hashed; the hash chooses one of 16,384 slots, and the slot's " +
      "owner keeps cart and orders. Try alice."));
  }

  update() {}

  /** Shows an order, and brings it into view. */
  showOrder(id) {
    this.#input.value = id;
    this.scrollIntoView({ block: "nearest" });
    this.#show(() => this.#order(id));
  }

  #submit(event) {
    event.preventDefault();
    const id = this.#input.value.trim();
    // The key Enter submits with the first button.
    const wantsOrder = event.submitter?.value === "order" || UUID.test(id);
    this.#show(() => (wantsOrder ? this.#order(id) : this.#customer(id)));
  }

  async #show(find) {
    this.#asked += 1;
    const asked = this.#asked;
    let found;
    try {
      found = await find();
    } catch (problem) {
      found = [h("p", { class: "bad" }, problem.status === 404 ? "There is no such order." : `${problem.message}.`)];
    }
    if (asked === this.#asked) {
      this.#result.replaceChildren(...found);
    }
  }

  async #customer(id) {
    const [place, cart] = await Promise.all([read(path("where", id)), read(path("items", id))]);
    this.dispatchEvent(new CustomEvent("slot-found", { bubbles: true, detail: { slot: place.slot } }));
    return [
      h("dl", { class: "figures" },
        h("div", {}, h("dt", {}, "hash"), h("dd", { class: "mono hash" }, place.hash)),
        h("div", {}, h("dt", {}, "slot"), h("dd", {}, count(place.slot))),
        h("div", {}, h("dt", {}, "shard"), h("dd", {}, shardDot(place.shard), ` ${place.shard}`))),
      cartTable(cart),
      ...(await this.#ordersOf(id)),
      asCommand([
        ["curl", `${curl(path("where", id))}; ${curl(path("items", id))}`],
        ["command", `${command("where", id)}; ${command("cart", "get", id)}`],
      ]),
    ];
  }

  /** A customer's newest orders. Without a key there are none here: the reader asked for the cart. */
  async #ordersOf(id) {
    if (currentKey() === null) {
      return [];
    }
    let items;
    try {
      ({ items } = await read(`api/orders?customer_id=${encodeURIComponent(id)}&limit=${ORDERS}`));
    } catch (problem) {
      // A list asks every shard, the cart only its own.
      return [h("p", { class: "note" }, `The orders cannot be listed now: ${problem.message}.`)];
    }
    if (items.length === 0) {
      return [h("p", { class: "note" }, "No order yet.")];
    }
    return [h("ul", { class: "own-orders" }, ...items.map((order) => h("li", {},
      h("button", { type: "button", class: "link mono", onclick: () => this.showOrder(order.order_id) }, shortId(order.order_id)),
      " ", orderTag(order))))];
  }

  async #order(id) {
    const target = path("api", "orders", id);
    const order = await read(target);
    return [
      orderView(order),
      asCommand([["curl", curl(target, { isGuarded: true })], ["command", command("order", "show", id)]]),
    ];
  }
}

customElements.define("look-up", LookUp);
