// What the states and steps of an order are called, on both pages.

import { h } from "./dom.js";

const TONES = { created: "good", pending: "warn", refused: "", cancelled: "" };

/** What each step of an order's history means. */
const STEPS = {
  pending: "Written down, undecided",
  held: "All stock is held",
  authorised: "The payment is authorised",
  created: "Decided: created",
  refused: "Decided: refused",
  resumed: "Taken up again after a restart",
  claimed: "The held stock is sold",
  released: "The held stock is released",
  captured: "The money is taken",
  capture_failed: "The gateway refused to take the money",
  voided: "The payment is voided",
  cancelled: "Cancelled",
  returned: "The stock is back",
  refunded: "The money is given back",
  refund_failed: "The gateway refused to give the money back",
};

const PAYMENTS = {
  none: "no payment",
  pending: "payment not asked yet",
  authorised: "payment authorised",
  captured: "paid",
  capture_failed: "money could not be taken",
  refused: "payment refused",
  voided: "payment voided",
  refunded: "money given back",
  refund_failed: "money could not be given back",
};

/** An order's state as a tag. */
export function orderTag(order) {
  return h("span", { class: `tag ${TONES[order.status] ?? ""}` }, order.status);
}

/** An order's id in short. Ids begin with their time, so that those of one day begin alike. */
export function shortId(id) {
  return `${id.slice(0, 8)}…${id.slice(-4)}`;
}

/** What a step means; a step that this page does not know has its name. */
export function stepText(step) {
  const name = step.step;
  return STEPS[name] ?? name.replaceAll("_", " ");
}

/** What an order's `payment_status` means. */
export function paymentText(order) {
  return PAYMENTS[order.payment_status] ?? order.payment_status;
}
