// Edgewise loader: fills <edge-slot name="…"> and reports events. One request at a time writes the
// visitor's cookie, in all tabs; what was not acknowledged is sent again with the next.
(() => {
  const script = document.currentScript, mount = new URL('.', script.src).pathname;
  const deadline = +script.dataset.deadline || 800; // ms; later answers leave this view as it is
  const layer = window.dataLayer = window.dataLayer || [];
  const trusted = window.trustedTypes ? trustedTypes.createPolicy('edgewise', { createHTML: html => html }) : { createHTML: html => html };
  const shown = new Map(); // element → { own: its own markup, html: what fills it, x: of which decision }

  // What the page may report: GA4's names as our own, and what the script tag's data-events lists.
  const types = { view_item: 'product_view', add_to_cart: 'add_to_cart', remove_from_cart: 'remove_from_cart', purchase: 'purchase' };
  for (const type of (script.dataset.events || '').split(/\s+/)) types[type] = type;

  const preview = new URLSearchParams(location.search).get('edgewise_preview') || undefined; // made by `edgewise preview`
  const NOTHING = 0, CHANGES = 1, ALL = 2; // what a trip fills: no slot, those that show something else now, each anew
  let queue = [], keep = false, page = {}, timer, due = Infinity, wanted = NOTHING, clock, asks = 0, missed = false, last;

  // Events outlive their page in this tab's storage, but only where the visitor's grants let the device keep them.
  function restore() {
    try {
      queue = JSON.parse(sessionStorage.edgewise);
      keep = true;
    } catch { /* nothing kept, or no storage */ }
  }

  function save() {
    try {
      if (keep) sessionStorage.edgewise = JSON.stringify(queue);
      else sessionStorage.removeItem('edgewise');
    } catch { /* full, or no storage: the beacon still reports */ }
  }

  const meta = name => document.querySelector(`meta[name="edgewise-${name}"]`)?.content; // what the page says in its head

  const alone = work => navigator.locks ? navigator.locks.request('edgewise', work) : work();

  const send = (method, path, body) => fetch(mount + 'v1/' + path, {
    method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(9000),
  });

  async function trip(fill) {
    const asked = performance.now(), slots = fill ? [...document.querySelectorAll('edge-slot[name]')] : [];
    await alone(async () => {
      const events = queue.slice(0, 40), names = [...new Set(slots.map(slot => slot.getAttribute('name')))];
      if (!names.length && !events.length) return;
      const reply = await send('POST', 'visit', { events, slots: names, page, preview, facts: meta('facts') });
      const answer = reply.ok ? await reply.json() : { decisions: [], keep, retry: reply.status > 499 || reply.status === 429 };
      if (!answer.retry) queue = queue.filter(event => !events.includes(event));
      keep = answer.keep;
      save();
      if (names.length) {
        clearTimeout(clock);
        missed = false;
        if (answer.next_in && asks < 10) clock = setTimeout(ask, answer.next_in * 1000);
      }
      if (performance.now() - asked < deadline) for (const slot of slots) show(slot, answer.decisions.find(({ slot: name }) => name === slot.getAttribute('name')), fill);
    }).catch(() => {});
    if (queue.length) schedule(5000, NOTHING);
  }

  // By now time alone could have changed the page: asked while somebody looks, and ten times at most until something happens.
  function ask() {
    missed = document.hidden;
    if (missed) return;
    asks += 1;
    schedule(0, CHANGES);
  }

  function show(slot, decision, fill) {
    if (!decision) return;
    const was = shown.get(slot) || { own: slot.innerHTML }, html = decision.html || was.own;
    if (fill < ALL && (was.html || was.own) === html) return;
    if ((was.html || was.own) !== html) {
      const height = slot.offsetHeight; // the box stays as it was: nothing around it moves
      if (height) Object.assign(slot.style, { height: height + 'px', overflow: 'hidden' });
      slot.innerHTML = trusted.createHTML(html);
    }
    shown.set(slot, { own: was.own, html, x: decision.x });
    if (decision.x && decision.x !== was.x) watch(slot, decision.x);
    layer.push({ event: 'edgewise', edgewise: { slot: decision.slot, x: decision.x } });
    slot.dispatchEvent(new CustomEvent('edgewise', { bubbles: true, detail: decision }));
  }

  // Seen: half of it was in view for a second, and it was still the same decision.
  function watch(slot, x) {
    let clock;
    const eye = new IntersectionObserver(entries => {
      clearTimeout(clock);
      if (entries.pop().isIntersecting) clock = setTimeout(() => {
        eye.disconnect();
        if (shown.get(slot).x === x) note('seen', { x }, 3000, NOTHING);
      }, 1000);
    }, { threshold: 0.5 });
    eye.observe(slot);
  }

  function schedule(wait, fill) {
    wanted = Math.max(wanted, fill);
    if (fill === ALL) asks = 0;
    if (Date.now() + wait >= due) return;
    clearTimeout(timer);
    due = Date.now() + wait;
    timer = setTimeout(() => {
      trip(wanted);
      wanted = NOTHING;
      due = Infinity;
    }, wait);
  }

  function note(type, fields, wait = 30, fill = ALL) {
    queue.push({ ...fields, type, id: crypto.randomUUID(), at: Date.now() / 1000 });
    save();
    schedule(wait, fill);
  }

  // An entry of the data layer: { event, ecommerce: { items } }, { event, item, category … } or gtag's arguments.
  function read(entry) {
    const told = entry && entry[0] === 'event' ? { ...entry[2], event: entry[1] } : entry || {}, type = types[told.event];
    if (type) for (const one of (told.ecommerce || told).items || [told]) note(type, {
      item: '' + (one.item_id || one.item || ''), category: '' + (one.item_category || one.category || ''),
      brand: '' + (one.item_brand || one.brand || ''), price: +one.price || 0, quantity: +one.quantity || 1, value: +(one.value || one.percent_scrolled) || 0,
    });
  }

  function visit(about) {
    page = { path: location.pathname, category: meta('category') || '', query: location.search.slice(1), referrer: document.referrer, zone: Intl.DateTimeFormat().resolvedOptions().timeZone, ...about };
    schedule(0, ALL);
  }

  window.edgewise = {
    visit,
    event: (type, fields) => note(type, fields),
    consent: told => alone(() => send('PUT', 'consent', told.map ? { grants: told, how: 'banner' } : { tcf: told })).catch(() => {}).then(() => visit(page)),
  };

  restore();
  const push = layer.push;
  layer.push = (...entries) => {
    entries.forEach(read);
    return push.apply(layer, entries);
  };
  layer.forEach(read);

  // What no beacon had yet: an event that is kept goes again with the next visit, and the log knows it by its id.
  function report() {
    const from = queue.indexOf(last) + 1, events = queue.slice(from, from + 40);
    if (events.length) navigator.sendBeacon(mount + 'v1/events', JSON.stringify({ events, page, resend: keep }));
    last = events.pop() || last;
    if (!keep) queue = [];
  }

  addEventListener('pagehide', report);
  addEventListener('pageshow', event => {
    if (!event.persisted) return;
    restore(); // what this page still remembers, the pages after it have told
    visit();
  });
  addEventListener('visibilitychange', () => missed && ask());
  addEventListener('resize', () => shown.forEach((_, slot) => { slot.style.height = ''; }));
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', () => visit());
  else visit();

  if ('engagement' in script.dataset) import(mount + 'engagement.js').then(engagement => engagement.default(
    (type, value) => note(type, { value, category: page.category }, Infinity, NOTHING), report,
  )).catch(() => {});
})();
