// Edgewise engagement: notes how deep a page was scrolled and for how long it was in view, as the page is left. The loader
// fetches it where its tag says data-engagement, and hands it `tell(type, value)`, which makes no visit, and `report()`, the beacon.
export default (tell, report) => {
  const LONGEST = 1800; // s of one look; after half an hour without a visit its session is over, too
  const { visit, consent } = edgewise;
  let since = 0, bottom = 0, height = 1, told = 0; // in view since when; the lowest pixel seen, of how many; percent told

  // Pixels until they are told, as pages grow while they are read. A scroll event comes once a frame, right before the frame's
  // layout would be made anyway: to read the place there delays nothing.
  function reach() {
    if (!since) return;
    bottom = Math.max(bottom, scrollY + innerHeight);
    height = document.documentElement.scrollHeight;
  }

  // A page that is opened in the background, or made before somebody wants it, is hidden: its time begins when it is shown.
  function look() {
    since = document.hidden ? 0 : performance.now();
  }

  function start() {
    bottom = told = 0;
    look();
    setTimeout(reach, 1000); // for who leaves without scrolling: by then there is something to see
  }

  // Told: the seconds of this look, so that a sum is right, and the depth if it is new, so that a maximum is.
  function leave() {
    if (!since) return;
    const depth = Math.min(100, Math.round(bottom / height * 100));
    const seconds = Math.min(LONGEST, Math.round((performance.now() - since) / 1000));
    since = 0;
    if (depth > told) tell('scroll', told = depth);
    if (seconds) tell('user_engagement', seconds);
    report();
  }

  // By the page's own word another page begins: what can be measured by now may be that one's.
  edgewise.visit = about => {
    leave();
    visit(about);
    start();
  };
  // What was measured before a choice falls under what was granted until then.
  edgewise.consent = choice => {
    leave();
    start();
    return consent(choice);
  };

  addEventListener('scroll', reach, { passive: true });
  addEventListener('visibilitychange', () => {
    reach();
    if (document.hidden) leave();
    else look();
  });
  addEventListener('pagehide', () => { // on some phones the only sign
    reach();
    leave();
  });
  addEventListener('pageshow', event => event.persisted && start());
  start();
};
