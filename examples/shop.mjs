/** A small busy shop: something for a profiler to look at. Its functions have telling names. */

const PRODUCTS = Array.from({ length: 400 }, (_, i) => ({
  name: `product ${i}`,
  cents: 99 + i * 7,
}));

function priceBasket(basket) {
  let cents = 0;
  for (const { cents: price } of basket) cents += Math.sqrt(price) ** 2;
  return cents;
}

function computeTax(cents, slow) {
  // The regression that a diff should find: the table is built for every order.
  const rates = slow ? Array.from({ length: 20_000 }, (_, i) => Math.sin(i) / 100) : [0.19];
  return cents * Math.abs(rates[rates.length - 1]);
}

function renderReceipt(basket, cents) {
  const lines = basket.map(
    ({ name, cents: price }) => `${name.padEnd(20)} ${(price / 100).toFixed(2)}`,
  );
  return `${lines.join('\n')}\ntotal ${(cents / 100).toFixed(2)}`;
}

/** Handles one order; with `slow` the tax is computed wastefully. */
export function handleOrder(number, slow) {
  const basket = PRODUCTS.slice(number % 200, (number % 200) + 120);
  const cents = priceBasket(basket);
  return renderReceipt(basket, cents + computeTax(cents, slow)).length;
}

/** Handles orders for `seconds`; resolves to how many. */
export async function keepShop(seconds, slow) {
  const until = Date.now() + seconds * 1_000;
  let orders = 0;
  while (Date.now() < until) {
    for (let i = 0; i < 50; i++) handleOrder(orders++, slow);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return orders;
}
