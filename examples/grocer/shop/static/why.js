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
        ...(decision.because ? [make('p', { className: 'because', textContent: decision.because })] : []),
        make('p', {}, make('code', { textContent: decision.slot }), ' shows ', make('code', { textContent: decision.fragment || 'its own content' }),
          decision.variant ? ' as variant ' : '', decision.variant ? make('code', { textContent: decision.variant }) : '',
          ': ', make('b', { className: 'reason', textContent: decision.reason }), ' (snapshot ' + decision.snapshot + ')'),
        make('ol', { reversed: true }, ...steps)));
  });
})();
