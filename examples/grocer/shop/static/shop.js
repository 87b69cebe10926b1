// The shop's own script: basket, consent banner, sign-in. It talks to Edgewise as any site would:
// through window.dataLayer, and through `edgewise` once the loader is there.
(() => {
  const layer = window.dataLayer = window.dataLayer || [];
  const $ = (selector, within = document) => within.querySelector(selector);
  const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };
  const money = cents => '$' + (cents / 100).toFixed(2);

  // The basket lives in this tab's browser only.
  const basket = () => JSON.parse(sessionStorage.getItem('basket') || '[]');
  const keep = lines => { sessionStorage.setItem('basket', JSON.stringify(lines)); draw(); };

  function draw() {
    const lines = basket(), count = lines.reduce((sum, line) => sum + line.quantity, 0);
    $('#basket-count').textContent = count;
    const list = $('#lines');
    if (!list) return;
    $('#order').disabled = !count;
    $('#total').textContent = money(lines.reduce((sum, line) => sum + line.cents * line.quantity, 0));
    list.replaceChildren(...(lines.length ? lines.map(line => make('p', { className: 'line' },
      make('a', { href: '/p/' + line.item, textContent: line.title }),
      make('span', { textContent: '× ' + line.quantity }),
      make('span', { textContent: money(line.cents * line.quantity) }))) : [make('p', { className: 'empty', textContent: 'Your basket is empty.' })]));
  }

  const item = data => ({ item_id: data.item, item_category: data.category, price: +data.price, quantity: 1 });
  const tell = (event, ...items) => layer.push({ event, ecommerce: { items } });

  addEventListener('click', event => {
    const button = event.target.closest('button.add');
    if (!button) return;
    const { item: id, price, title, category } = button.dataset, lines = basket(), line = lines.find(line => line.item === id);
    if (line) line.quantity += 1;
    else lines.push({ item: id, title, category, cents: Math.round(price * 100), quantity: 1 });
    keep(lines);
    tell('add_to_cart', item(button.dataset));
    button.textContent = 'Added';
    setTimeout(() => { button.textContent = 'Add'; }, 900);
  });

  const order = $('#order');
  if (order) order.addEventListener('click', () => {
    const lines = basket();
    tell('purchase', ...lines.map(line => ({ item_id: line.item, item_category: line.category, price: line.cents / 100, quantity: line.quantity })));
    keep([]);
    $('#lines').replaceChildren(make('p', { className: 'empty', textContent: 'Thank you. Your order is on its way (in this demonstration, not very far).' }));
  });

  // A quick look counts as a look.
  const look = $('#look');
  addEventListener('click', event => {
    const picture = event.target.closest('button.picture');
    if (!picture) return;
    const { title, price, category, item: id } = picture.dataset;
    const close = make('button', { type: 'button', className: 'quiet', textContent: 'Close' });
    close.addEventListener('click', () => look.close());
    const add = make('button', { type: 'button', className: 'add', textContent: 'Add' });
    Object.assign(add.dataset, picture.dataset);
    const enlarged = make('div', { className: 'picture tone-' + category });
    enlarged.innerHTML = picture.innerHTML;
    look.replaceChildren(enlarged, make('h2', { textContent: title }), make('p', { className: 'price', textContent: '$' + price }),
      make('div', { className: 'choices' }, add, make('a', { href: '/p/' + id, textContent: 'All about it' }), close));
    look.showModal();
    tell('view_item', item(picture.dataset));
  });

  // Hearts: a product that is wished for, a department that is a favourite. They live in this tab, too.
  const hearts = () => JSON.parse(sessionStorage.getItem('hearts') || '[]');
  const name = ({ heart, item: id, category }) => heart + ' ' + (id || category);
  const glow = (beating, button) => button.setAttribute('aria-pressed', beating.includes(name(button.dataset)));
  document.querySelectorAll('.heart').forEach(button => glow(hearts(), button));
  addEventListener('click', event => {
    const button = event.target.closest('.heart');
    if (!button) return;
    const { heart, item: id = '', category } = button.dataset, one = name(button.dataset), before = hearts(), beats = !before.includes(one);
    const after = beats ? [...before, one] : before.filter(other => other !== one);
    sessionStorage.setItem('hearts', JSON.stringify(after));
    glow(after, button);
    layer.push({ event: (beats ? '' : 'un') + heart, item: id, category });
  });

  const product = $('.product');
  if (product) tell('view_item', item(product.dataset));
  const article = $('[data-article]');
  if (article) layer.push({ event: 'article_read', item: article.dataset.article });

  // Privacy choices.
  const PURPOSES = {
    functional: ['Remember my basket', 'so that it is still there tomorrow'],
    personalization: ['Personalise the shop', 'by what I look at and what I bought'],
    analytics: ['Help improve the shop', 'by counting what is seen and used'],
    sensitive: ['Include sensitive shelves', 'baby, pharmacy and alcohol, never without this'],
  };
  const sheet = $('#consent');

  async function ready() {
    for (let tries = 0; !window.edgewise && tries < 100; tries += 1) await new Promise(resolve => setTimeout(resolve, 50));
    return window.edgewise;
  }

  async function choose(grants) {
    sheet.hidden = true;
    const edgewise = await ready();
    if (edgewise) await edgewise.consent(grants);
  }

  function ask(granted) {
    const boxes = Object.entries(PURPOSES).map(([name, [title, about]]) => make('label', {},
      make('input', { type: 'checkbox', name, checked: granted.includes(name) }),
      make('span', {}, make('strong', { textContent: title }), ' ' + about)));
    const button = (id, text, className, grants) => {
      const element = make('button', { type: 'button', id, textContent: text, className });
      element.addEventListener('click', () => choose(grants()));
      return element;
    };
    sheet.replaceChildren(
      make('h2', { textContent: 'Your shop, your choice' }),
      make('p', { textContent: 'We use what you do here only for what you tick, and only on this site. You can change it at any time.' }),
      make('div', { className: 'purposes' }, ...boxes),
      make('div', { className: 'choices' },
        button('consent-none', 'Only what is needed', 'quiet', () => []),
        button('consent-some', 'Save my choice', 'quiet', () => [...sheet.querySelectorAll('input:checked')].map(box => box.name)),
        button('consent-all', 'Yes to the first three', 'ew-cta', () => ['functional', 'personalization', 'analytics'])));
    sheet.hidden = false;
  }

  async function consent() {
    try {
      const reply = await fetch('/_ew/v1/consent');
      return reply.ok ? await reply.json() : null;
    } catch { return null; }
  }
  $('#privacy').addEventListener('click', async () => ask(((await consent()) || {}).grants || []));
  consent().then(state => { if (state && state.ask) ask(state.grants); });

  // Signing in: the shop's server signs a token that names the household; the edge only checks the signature.
  const picker = $('#households'), signIn = $('#sign-in');

  function named(household) {
    signIn.textContent = household ? 'Sign out (' + household + ')' : 'Sign in';
  }

  async function enter(id) {
    const reply = await fetch('/sign-in', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ household: id }) });
    const { token } = await reply.json();
    sessionStorage.setItem('household', id);
    named(id);
    picker.close();
    (await ready()).event('identify', { token });
  }

  signIn.addEventListener('click', async () => {
    if (sessionStorage.getItem('household')) {
      sessionStorage.removeItem('household');
      sessionStorage.removeItem('hearts'); // whoever is next at this device begins anew, here as at the edge
      document.querySelectorAll('.heart').forEach(button => glow([], button));
      keep([]);
      named('');
      return (await ready()).event('sign_out');
    }
    const households = await (await fetch('/households')).json();
    const close = make('button', { type: 'button', className: 'quiet', textContent: 'Not now' });
    close.addEventListener('click', () => picker.close());
    picker.replaceChildren(
      make('h2', { textContent: 'Sign in as a household' }),
      make('p', { textContent: 'Each of these did a year of shopping in the data. Their segments were computed when this demo was built.' }),
      make('div', { className: 'choices column' }, ...households.map(household => {
        const button = make('button', { type: 'button', className: 'household', id: 'household-' + household.id },
          make('strong', { textContent: 'Household ' + household.id }), make('span', { textContent: household.segments.map((name) => name.replaceAll('_', ' ')).join(', ') || 'no segment' }));
        button.addEventListener('click', () => enter(household.id));
        return button;
      })), close);
    picker.showModal();
  });

  named(sessionStorage.getItem('household'));
  draw();
})();
