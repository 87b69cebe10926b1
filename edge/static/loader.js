// Edgewise loader: fills <edge-slot name="…"> and reports events. https://developer.mozilla.org/docs/Web/API/LockManager
(() => {
  const script = document.currentScript, mount = new URL('.', script.src).pathname;
  const data = script.dataset, deadline = +data.deadline || 800, box = localBox();
  const names = { view_item: 'product_view', add_to_cart: 'add_to_cart', remove_from_cart: 'remove_from_cart', purchase: 'purchase' };
  for (const name of (data.events || '').split(/\s+/)) names[name] = name;
  const layer = window.dataLayer = window.dataLayer || [];
  const html = window.trustedTypes ? trustedTypes.createPolicy('edgewise', { createHTML: s => s }) : { createHTML: s => s };
  const shown = new Map(); // element → { own: its markup, html: what fills it, x }
  let queue = [], page = {}, timer, due = Infinity, wanted = false, keep = box.some();

  // Unacknowledged events outlive the page only where the visitor's grants let the device keep them: one key each,
  // so that two tabs never overwrite each other.
  function localBox() {
    let at;
    try { at = window.localStorage; at.length; } catch { at = null; }
    const keys = () => at ? Object.keys(at).filter(key => key.startsWith('ew:')) : [];
    return {
      some: () => !!at && at.getItem('ew') === '1',
      allow(yes) { if (at) try { yes ? at.setItem('ew', '1') : at.removeItem('ew'); } catch { /* full */ } },
      put(event) { if (at) try { at.setItem('ew:' + event.id, JSON.stringify(event)); } catch { /* full */ } },
      all: () => keys().map(key => JSON.parse(at.getItem(key))).filter(Boolean),
      drop(ids) { for (const id of ids) at && at.removeItem('ew:' + id); },
      clear() { for (const key of keys()) at.removeItem(key); },
    };
  }

  function pending() {
    const events = new Map((keep ? box.all() : []).map(event => [event.id, event]));
    for (const event of queue) events.set(event.id, event);
    return [...events.values()].sort((a, b) => a.at - b.at).slice(0, 40);
  }

  function settled(ids) {
    queue = queue.filter(event => !ids.has(event.id));
    box.drop(ids);
  }

  function may(yes) {
    if (keep && !yes) box.clear();
    if (yes && !keep) queue.forEach(box.put);
    box.allow(keep = yes);
  }

  const send = (method, path, body) => fetch(mount + 'v1/' + path, {
    method, body: JSON.stringify(body), credentials: 'same-origin', headers: { 'content-type': 'application/json' },
  });

  // One request that writes cookies at a time, in all tabs of this origin: the cookie is the visitor's state.
  const alone = work => navigator.locks ? navigator.locks.request('edgewise', work) : work();

  async function trip(fill) {
    const asked = performance.now(), slots = fill ? [...document.querySelectorAll('edge-slot[name]')] : [];
    await alone(async () => {
      const events = pending();
      if (!slots.length && !events.length) return;
      const asks = [...new Set(slots.map(slot => slot.getAttribute('name')))];
      const reply = await send('POST', 'visit', { events, slots: asks, page });
      if (reply.status < 500) settled(new Set(events.map(event => event.id)));
      if (!reply.ok) return;
      const { decisions, keep: yes } = await reply.json();
      may(!!yes);
      if (performance.now() - asked > deadline) return;
      const by = new Map(decisions.map(decision => [decision.slot, decision]));
      for (const slot of slots) show(slot, by.get(slot.getAttribute('name')));
    }).catch(() => {});
    if (queue.length) schedule(5000, false);
  }

  function show(slot, decision) {
    if (!decision || !slot.isConnected) return;
    const was = shown.get(slot) || { own: slot.innerHTML }, next = decision.html || was.own;
    if ((was.html || was.own) !== next) {
      const height = slot.offsetHeight; // the box stays as it was: nothing below it moves
      if (height && !slot.hasAttribute('grow')) Object.assign(slot.style, { height: height + 'px', overflow: 'hidden' });
      slot.innerHTML = html.createHTML(next);
    }
    shown.set(slot, { own: was.own, html: next, x: decision.x });
    if (decision.x && decision.x !== was.x) watch(slot, decision.x);
    layer.push({ event: 'edgewise', edgewise: { slot: decision.slot, x: decision.x } });
    slot.dispatchEvent(new CustomEvent('edgewise', { bubbles: true, detail: decision }));
  }

  const current = (slot, x) => (shown.get(slot) || {}).x === x;

  // Seen: half of it in view for a second.
  function watch(slot, x) {
    let clock;
    const eye = new IntersectionObserver(entries => {
      clearTimeout(clock);
      if (!current(slot, x)) return eye.disconnect();
      if (entries.pop().isIntersecting) clock = setTimeout(() => {
        eye.disconnect();
        if (current(slot, x)) note('seen', { x }, 3000, false);
      }, 1000);
    }, { threshold: 0.5 });
    eye.observe(slot);
  }

  function schedule(wait, fill) {
    wanted = wanted || fill;
    const at = Date.now() + wait;
    if (at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => { const all = wanted; wanted = false; due = Infinity; trip(all); }, wait);
  }

  function note(type, fields, wait = 30, fill = true) {
    const event = { ...fields, type, id: fields.id || crypto.randomUUID(), at: Date.now() / 1000 };
    queue.push(event);
    if (keep && !event.token) box.put(event);
    schedule(wait, fill);
  }

  function read(entry) {
    if (!entry) return;
    const told = entry[0] === 'event' ? { ...entry[2], event: entry[1] } : entry, type = names[told.event];
    if (!type) return;
    const items = (told.ecommerce || told).items;
    for (const item of items || [told]) {
      const { item_id, id, item_category, item_brand, price, quantity } = item;
      note(type, {
        item: String(item_id || item.item || (items && id) || ''), category: String(item_category || item.category || ''),
        brand: String(item_brand || item.brand || ''), price: +price || 0, quantity: +quantity || 1,
      });
    }
  }

  function visit(about) {
    const meta = document.querySelector('meta[name="edgewise-category"]');
    page = { path: location.pathname, category: meta ? meta.content : '', query: location.search.slice(1), referrer: document.referrer, ...about };
    schedule(0, true);
  }

  const push = layer.push;
  layer.push = (...entries) => { const count = push.apply(layer, entries); entries.forEach(read); return count; };
  [...layer].forEach(read);

  addEventListener('pagehide', () => {
    const events = pending();
    if (events.length) navigator.sendBeacon(mount + 'v1/events', JSON.stringify({ events, page, resend: keep }));
    if (!keep) queue = [];
  });
  addEventListener('pageshow', event => { if (event.persisted) visit(); });
  addEventListener('resize', () => { for (const slot of shown.keys()) slot.style.height = ''; });

  window.edgewise = {
    visit, event: (type, fields = {}) => note(type, fields),
    consent: async grants => {
      await alone(() => send('PUT', 'consent', { grants, how: 'banner' })).catch(() => {});
      visit(page);
    },
  };
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', () => visit());
  else visit();
})();
