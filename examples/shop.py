#!/usr/bin/env python3
"""A shop's view of the store: a cart, a change that is guarded, a retry after a lost answer, a checkout, and the
order until it is paid. It needs nothing but Python 3.8 or newer.

Start a store with `cargo run --release -- launch`, then run `python3 examples/shop.py`. Another store's address may
follow, and its API key be in SHARDCART_API_KEY.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

PATIENCE = 60  # the time limit of one action of a user, in seconds, retries included
ANSWER_TIMEOUT = 30  # the time limit of one answer, in seconds; an order has 25
PAUSE = 0.2  # the pause before a retry, in seconds, unless the store names one
CARD = "4242424242424242"  # pays with the simulated gateway


class Refused(Exception):
    """An answer that is final, and not what was wanted."""


class Answer:
    """An answer that is final."""

    def __init__(self, status, headers, body):
        self.status, self.headers = status, headers
        # Money stays text and is sent back unchanged, never as a binary fraction.
        self.json = json.loads(body, parse_float=str)

    def expect(self, status):
        if self.status != status:
            raise Refused(f"{self.status} instead of {status}: {self.json}")
        return self


class Shop:
    """A client of the store that retries whatever is safe to retry."""

    def __init__(self, url):
        self.url = url
        # The development key works on loopback while no other key is configured.
        self.api_key = os.environ.get("SHARDCART_API_KEY", "secret123")

    def get(self, path):
        """Reads; repeating that is always safe."""
        return self.insist("GET", path)

    def send(self, method, path, body, key, **headers):
        """Writes under an idempotency key, which makes it safe to repeat."""
        return self.insist(method, path, body, {"Idempotency-Key": key, **headers})

    def set_count(self, customer, item, change):
        """Changes the count of a line, computed from the cart as it was read: If-Match refuses the change when
        somebody else was faster, and it is computed again."""
        while True:
            cart = self.get(f"/items/{customer}").expect(200)
            count = next(line["itemCount"] for line in cart.json["items"] if line["itemId"] == item)
            body, tag = {"newCount": change(count)}, {"If-Match": cart.headers["ETag"]}
            answer = self.send("PUT", f"/item/{customer}/{item}", body, new_key(), **tag)
            if answer.status != 412:
                return answer.expect(200)

    def follow(self, order):
        """Waits until an order is paid, or is not going to be."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.get(f"/api/orders/{order}").expect(200)
            status = answer.json["payment_status"]
            if status == "captured":
                return answer
            if status not in ("pending", "authorised") or time.monotonic() > end:
                raise Refused(f"payment {status}")
            time.sleep(PAUSE)

    def insist(self, method, path, body=None, headers=None):
        """Repeats a request until its answer is final."""
        end = time.monotonic() + PATIENCE
        while True:
            answer, why = self.attempt(method, path, body, headers or {})
            if not why:
                return answer
            if time.monotonic() > end:
                raise Refused(why)
            print(f"{method} {path}: {why}; again", file=sys.stderr)
            time.sleep(float(answer.headers.get("Retry-After", PAUSE)) if answer else PAUSE)

    def attempt(self, method, path, body, headers):
        """An answer, and why it is not final."""
        headers = {"Content-Type": "application/json", "X-API-Key": self.api_key, **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT) as response:
                    answer = Answer(response.status, response.headers, response.read())
            except urllib.error.HTTPError as error:
                answer = Answer(error.code, error.headers, error.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Without an answer it is unknown whether it was applied: only a read or the same key may be repeated.
            return None, f"no answer: {error}"
        in_flight = answer.status == 409 and answer.json["type"] == "/problems/in-flight"
        # 429 and 503: nothing was applied. 504: unknown. In flight: an earlier attempt is still in progress.
        if in_flight or answer.status in (429, 503, 504):
            return answer, f"{answer.status} {answer.json['detail']}"
        return answer, None


def new_key():
    """A key for one thing that a user does. All retries of it use the same one."""
    return str(uuid.uuid4())


def main():
    shop = Shop(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000")
    customer = f"guest-{uuid.uuid4()}"

    # The price comes from the catalog, never from the customer: an order costs the price that its cart offers.
    book = shop.get("/search/fiction").expect(200).json[0]
    print(f"found {book['title']} for {book['price']}")

    line = f"/item/{customer}/{book['id']}"
    offer = {"offeredPrice": book["price"], "itemCount": 1}
    added = shop.send("POST", line, offer, new_key()).expect(201)
    print(f"in the cart: {added.json['itemTotal']}")

    cart = shop.set_count(customer, book["id"], lambda count: count + 1)
    print(f"changed to {cart.json['itemTotal']}, version {cart.json['version']}")

    # As if the first answer were lost: the same request under the same key is applied once.
    key = new_key()
    shop.send("POST", line, offer, key)
    again = shop.send("POST", line, offer, key).expect(200)
    replayed = again.headers.get("Idempotency-Replayed", "false")
    print(f"sent twice, applied once: {again.json['itemTotal']} in the cart, replayed: {replayed}")

    payment = {"payment": {"card_number": CARD, "expiry": "12/30"}, "address": "1 Main St"}
    order = shop.send("POST", f"/checkout/{customer}", payment, new_key())
    if order.status in (402, 409):
        # Cart and stock are unchanged; `lines` names the items that cannot be sold.
        raise Refused(f"not sold: {order.json}")
    order.expect(201)
    print(f"order {order.json['order_id']} of {order.json['total']}")

    paid = shop.follow(order.json["order_id"])
    delivery = shop.get(f"/api/delivery/{order.json['delivery_id']}").expect(200)
    print(f"payment {paid.json['payment_status']}, delivery {delivery.json['status']}")


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(f"shop.py: {refusal}")
