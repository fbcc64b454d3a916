// Who buys on this page. The customer's id is in the page's address, so that a reload, a bookmark or a second window
// has the same cart, and two windows with two ids are two customers.

import { newKey } from "./api.js";

const PARAMETER = "customer";

/**
 * Tells of another customer (`customer`), a cart as it is now (`cart`), lines that cannot be sold (`lines-at-fault`), an
 * order that was placed (`order`, with its id), and stock that came back (`stock`).
 */
export const shopper = new EventTarget();

let customer = new URL(location).searchParams.get(PARAMETER) || guest();
showInAddress();

/** The customer's id. */
export function customerId() {
  return customer;
}

/** Becomes another customer. */
export function become(id) {
  customer = id;
  showInAddress();
  shopper.dispatchEvent(new Event("customer"));
}

/** The address of this page for a customer that nobody is yet. */
export function addressOfAnother() {
  const address = new URL(location);
  address.searchParams.set(PARAMETER, guest());
  return address.href;
}

function guest() {
  return `guest-${newKey().slice(0, 8)}`;
}

function showInAddress() {
  const address = new URL(location);
  address.searchParams.set(PARAMETER, customer);
  history.replaceState(null, "", address);
}
