// "Why this?": with `edgewise serve --dev`, replies carry a sentence, reason and steps; this shows them beside each slot.
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };

  addEventListener('edgewise', ({ target: slot, detail: decision }) => {
    if (!decision.reason) return; // not in --dev
    let panel = slot.nextElementSibling;
    if (!panel || !panel.matches('.why')) {
      panel = make('details', { className: 'why' });
      slot.after(panel);
    }
    const steps = [...(decision.steps || [])].reverse().map(step => make('li', {},
      make('code', { textContent: step.rule || 'default' }),
      make('b', { className: 'reason reason--' + step.reason.toLowerCase(), textContent: step.reason }),
      step.detail ? ' ' + step.detail : ''));
    panel.replaceChildren(
      make('summary', { textContent: 'Why this?' }),
      make('div', {},
        make('p', { className: 'because', textContent: decision.because || decision.slot + ' shows its own content' }),
        make('p', {}, make('b', { className: 'reason', textContent: decision.reason }), ' (snapshot ' + decision.snapshot + ')'),
        make('ol', { reversed: true }, ...steps)));
  });
})();
