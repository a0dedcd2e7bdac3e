// Keeps the page as it is now. The daemon writes the whole page, with everything from outside escaped; this only fetches
// it again, at once after an event and every few seconds besides, and puts in the sections that changed. So the page says
// the same with and without a script, and no text is ever made into markup here.
'use strict';

(() => {
  const kEvery = 5000; // ms between two looks without an event: free space changes without one
  const kGather = 250; // events come in bursts
  const kPatience = 10000; // for one answer
  const kSilence = 40000; // of the stream, whose heartbeat comes every 15 s
  const live = document.getElementById('live');
  let following = false;
  let looking = false;
  let timer = 0;
  let dueAt = Infinity;
  let lastGood = new Date();

  const say = (state, text) => {
    live.dataset.live = state;
    if (live.textContent !== text) live.textContent = text;
  };

  const tell = () => {
    if (following) say('on', 'Live');
    else say('on', `Looked at every ${kEvery / 1000} s`);
  };

  // What a person opened stays open, and what has the focus keeps it.
  const replace = (old, fresh) => {
    for (const details of old.querySelectorAll('details[open]')) {
      const again = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (again) again.open = true;
    }
    for (const chosen of old.querySelectorAll('input:checked')) {
      const again = fresh.querySelector(`#${CSS.escape(chosen.id)}`);
      if (again) again.checked = true;
    }
    const focused = document.activeElement;
    const within = focused && old.contains(focused);
    const holder = within ? focused.closest('details[id]') : null;
    const choice = within && focused.matches('input[id]') ? focused.id : '';
    if (old.isEqualNode(fresh)) return;
    old.replaceWith(fresh);
    const summary = holder && document.querySelector(`#${CSS.escape(holder.id)} > summary`);
    if (summary) summary.focus({ preventScroll: true });
    if (choice) document.getElementById(choice)?.focus({ preventScroll: true });
  };

  const isSelecting = () => {
    const selection = window.getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const answer = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(kPatience) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      lastGood = new Date();
      tell();
      if (isSelecting()) return;
      document.title = fresh.title;
      for (const part of fresh.querySelectorAll('[data-part]')) {
        const old = document.getElementById(part.id);
        if (old) replace(old, document.adoptNode(part));
      }
    } catch (error) {
      say('lost', `No answer (${error.message}). What is shown is of ${lastGood.toLocaleTimeString()}.`);
    } finally {
      looking = false;
    }
  };

  // A look that is due sooner stays: events without a pause do not put it off.
  const lookSoon = (after) => {
    const at = performance.now() + after;
    if (at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(async () => {
      dueAt = Infinity;
      if (!document.hidden) await look();
      lookSoon(kEvery);
    }, after);
  };

  // Reads the stream of events only to know that there was one.
  const follow = async () => {
    const control = new AbortController();
    let silence = setTimeout(() => control.abort(), kSilence);
    try {
      const answer = await fetch('/v1/events', {
        headers: { Accept: 'text/event-stream' }, cache: 'no-store', signal: control.signal,
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      following = true;
      tell();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(() => control.abort(), kSilence);
        if (/^id: /m.test(value)) lookSoon(kGather);
      }
    } catch {
      // Looking tells whether the daemon answers at all.
    }
    clearTimeout(silence);
    control.abort();
    following = false;
    setTimeout(follow, kEvery);
  };

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) lookSoon(0);
  });
  tell();
  lookSoon(kEvery);
  follow();
})();
