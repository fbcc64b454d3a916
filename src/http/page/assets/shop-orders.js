// The customer's orders: how far each one is, and its delivery, with what can be done about it.

import { currentKey } from "./access.js";
import { path, read, write } from "./api.js";
import { command, curl } from "./as-command.js";
import { titleOf } from "./catalog.js";
import { h, panelHead, setText } from "./dom.js";
import { clock, money } from "./format.js";
import { tell } from "./last-action.js";
import { orderTag, paymentText, shortId } from "./order-words.js";
import { customerId, shopper } from "./shopper.js";

/** The time between two looks at orders that are not at their end, in milliseconds. */
const INTERVAL_MS = 2_000;
const SHOWN = 5;

/** What the courier does next with a delivery, by its status. */
const NEXT = { scheduled: ["dispatched", "Courier: dispatch"], dispatched: ["delivered", "Courier: deliver"] };

class ShopOrders extends HTMLElement {
  #list = h("ul", { class: "orders" });
  #message = h("p", { class: "note", role: "status" });
  /** @type {Map<string, {order: Object, delivery: Object|null}>} by id, the newest first */
  #orders = new Map();
  #isReading = false;
  /** What is shown, as text. */
  #shown = "[]";

  connectedCallback() {
    this.append(panelHead("Orders", "payment and delivery"), this.#list, this.#message);
    setText(this.#message, "None yet.");
    shopper.addEventListener("order", ({ detail: id }) => this.#follow(id));
    shopper.addEventListener("customer", () => this.start());
    setInterval(() => document.visibilityState === "visible" && this.#lookAgain(), INTERVAL_MS);
  }

  /** Shows the orders that the customer has already, if there is a key to ask with. */
  async start() {
    const customer = customerId();
    this.#orders.clear();
    this.#show();
    if (currentKey() === null) {
      return;
    }
    try {
      const { items } = await read(`api/orders?customer_id=${encodeURIComponent(customer)}&limit=${SHOWN}`);
      const found = await Promise.all(items.map(({ order_id: id }) => readOrder(id)));
      if (customer === customerId()) {
        found.forEach((entry) => this.#orders.set(entry.order.order_id, entry));
        this.#show();
      }
    } catch (problem) {
      setText(this.#message, `Earlier orders cannot be read: ${problem.message}.`);
    }
  }

  async #follow(id) {
    try {
      const entry = await readOrder(id);
      this.#orders = new Map([[id, entry], ...[...this.#orders].filter(([other]) => other !== id)].slice(0, SHOWN));
    } catch (problem) {
      setText(this.#message, `The order cannot be read: ${problem.message}.`);
    }
    this.#show();
  }

  async #lookAgain() {
    if (this.#isReading) {
      return;
    }
    this.#isReading = true;
    for (const [id, entry] of this.#orders) {
      if (mayChange(entry)) {
        try {
          const newer = await readOrder(id);
          // The customer may be another one by now.
          if (this.#orders.has(id)) {
            this.#orders.set(id, newer);
          }
        } catch {
          // What is shown stays; the next look is due in a moment.
        }
      }
    }
    this.#isReading = false;
    this.#show();
  }

  #show() {
    // A button that the reader is about to press must not be replaced by its equal.
    const shown = JSON.stringify([...this.#orders]);
    if (shown === this.#shown) {
      return;
    }
    this.#shown = shown;
    setText(this.#message, this.#orders.size === 0 ? "None yet." : "");
    this.#list.replaceChildren(...[...this.#orders.values()].map((entry) => this.#entry(entry)));
  }

  #entry({ order, delivery }) {
    const what = h("p", { class: "order-items" }, `${order.items.length} lines`);
    Promise.all(order.items.map(async ({ id, quantity }) => `${quantity} × ${await titleOf(id)}`))
      .then((lines) => setText(what, lines.join("; ")));
    const steps = [
      ["Placed", true, clock(order.steps[0]?.at)],
      ["Paid", order.payment_status === "captured", paymentText(order)],
      ["On its way", ["dispatched", "delivered"].includes(delivery?.status), delivery?.courier ?? ""],
      ["Delivered", delivery?.status === "delivered", delivery?.address ?? ""],
    ];
    return h("li", { "data-order": order.order_id, "data-payment": order.payment_status, "data-delivery": delivery?.status ?? "none" },
      h("div", { class: "order-line" }, h("code", { title: order.order_id }, shortId(order.order_id)), orderTag(order),
        h("span", { class: "price" }, money(order.total))),
      what,
      h("ol", { class: "way" }, ...steps.map(([name, isDone, note]) => h("li", { class: isDone ? "done" : null },
        h("span", {}, name, h("span", { class: "unseen" }, isDone ? ", done" : ", not yet")), h("small", {}, note)))),
      h("div", { class: "actions" }, ...this.#actions(order, delivery)));
  }

  #actions(order, delivery) {
    const actions = [];
    const next = order.status === "created" ? NEXT[delivery?.status] : undefined;
    if (next) {
      const [status, label] = next;
      actions.push(h("button", { type: "button", onclick: () => this.#act(order.order_id, "Moved the delivery", "PATCH",
        path("api", "delivery", order.delivery_id), { status }, ["delivery", "move", order.delivery_id, status]) }, label));
    }
    if (order.status === "created" && (delivery === null || delivery.status === "scheduled")) {
      actions.push(h("button", { type: "button", onclick: () => this.#act(order.order_id, "Cancelled the order", "POST",
        path("api", "orders", order.order_id, "cancel"), {}, ["order", "cancel", order.order_id]) }, "Cancel the order"));
    }
    return actions;
  }

  async #act(id, what, method, target, body, words) {
    setText(this.#message, "");
    try {
      await write(method, target, body, { onWait: (problem) => setText(this.#message, `${problem.message}; trying again.`) });
      setText(this.#message, "");
    } catch (problem) {
      setText(this.#message, `Not done: ${problem.message}.`);
    }
    tell(what, [["curl", curl(target, { method, body, isGuarded: true, isKeyed: true })], ["command", command(...words)]]);
    await this.#follow(id);
    shopper.dispatchEvent(new Event("stock"));
  }
}

async function readOrder(id) {
  const order = await read(path("api", "orders", id));
  const delivery = order.delivery_id ? await read(path("api", "delivery", order.delivery_id)) : null;
  return { order, delivery };
}

/** False once nothing changes any more by itself. */
function mayChange({ order, delivery }) {
  switch (order.status) {
    case "created":
      return order.payment_status === "authorised" || ["scheduled", "dispatched"].includes(delivery?.status);
    case "cancelled":
      return ["authorised", "captured"].includes(order.payment_status);
    default:
      return order.status === "pending";
  }
}

customElements.define("shop-orders", ShopOrders);
