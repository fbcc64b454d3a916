// An order's history as a timeline: each step, when, how long after the one before, on which shards, with which call of
// the gateway, and by whom it was repaired.

import { h, shardDot } from "./dom.js";
import { clock, counted, milliseconds, moment, money } from "./format.js";
import { orderTag, paymentText, stepText } from "./order-words.js";

/**
 * An order with its lines and its steps.
 * @param {Object} order as `GET /api/orders/{id}` answers
 */
export function orderView(order) {
  return h("div", { class: "order" },
    h("p", { class: "order-head" }, orderTag(order), ` ${paymentText(order)}, `, h("strong", {}, money(order.total)),
      order.customer_id ? ` for ${order.customer_id}` : "", order.reason ? `: ${order.reason}` : ""),
    h("p", { class: "note mono" }, order.order_id),
    h("p", {}, order.items.map((line) => `${counted(line.quantity, "copy", "copies")} of ${line.id}`).join(", ")),
    timeline(order.steps));
}

function timeline(steps) {
  const times = steps.map(({ at }) => moment(at));
  const whole = Math.max(1, times[times.length - 1] - times[0]);
  const rows = steps.map((step, index) => {
    const after = index === 0 ? 0 : times[index] - times[index - 1];
    const bar = h("span", { class: "step-bar", "aria-hidden": "true" });
    bar.style.setProperty("--from", (index === 0 ? 0 : times[index - 1] - times[0]) / whole);
    bar.style.setProperty("--share", after / whole);
    return h("li", { class: stepTone(step) },
      h("span", { class: "step-time" }, index === 0 ? clock(step.at) : `+${milliseconds(after)}`),
      h("span", { class: "step-text" }, stepText(step), ...details(step)),
      bar);
  });
  return h("ol", { class: "timeline" }, ...rows);
}

function details(step) {
  const found = [];
  for (const shard of step.shards ?? []) {
    found.push(h("span", { class: "step-detail" }, shardDot(shard), ` shard ${shard}`));
  }
  if (step.gateway) {
    found.push(h("span", { class: "step-detail" }, `gateway: ${step.gateway}`));
  }
  if (step.by) {
    found.push(h("span", { class: "step-detail warn" }, `repaired by ${step.by}`));
  }
  return found;
}

function stepTone(step) {
  const name = step.step;
  if (name === "resumed" || step.by) {
    return "repaired";
  }
  return name === "refused" || name.endsWith("_failed") ? "failed" : null;
}
