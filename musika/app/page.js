// What Gradio has no component for: a playhead on the strip, and endless sound whose chunks join to the sample.
window.musika = (() => {
  const AHEAD = 2; // seconds of sound that wait to be played: what a change of the settings has to wait for
  const FIRST = 3; // chunks that are there before the first is played
  const MOST_AHEAD = 6; // after underruns, on slow networks
  const FADE = 0.06; // seconds in which a stopped stream goes quiet
  let context = null;
  let run = null;
  const stats = { underruns: 0, chunks: 0, samples: 0, ahead: 0 };
  const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
  const clock = (seconds) => new Date(1000 * Math.max(0, seconds)).toISOString().slice(seconds < 3600 ? 14 : 11, 19);
  const say = (text) => { const said = document.getElementById("mk-said"); if (said) said.textContent = text; };

  // Browsers allow sound only after a gesture, so every button that leads to sound calls this first.
  function wake(rate = 44100) {
    if (context && context.sampleRate !== rate) { context.close(); context = null; }
    context ??= new AudioContext({ sampleRate: rate });
    context.resume();
    return context;
  }

  // Bytes of 16-bit samples, left and right in turn, to a buffer that starts at an exact sample of the output.
  function buffer_of(audio, bytes, rate) {
    const both = new Int16Array(bytes), length = both.length / 2, buffer = audio.createBuffer(2, length, rate);
    for (let channel = 0; channel < 2; channel++) {
      const target = buffer.getChannelData(channel);
      for (let at = 0; at < length; at++) target[at] = both[2 * at + channel] / 32768;
    }
    return buffer;
  }

  function schedule(audio, output, buffer, sample) {
    const source = audio.createBufferSource();
    source.buffer = buffer;
    source.connect(output);
    source.start(sample / buffer.sampleRate);
  }

  async function fetch_chunk(mine) {
    for (let trial = 0; run === mine; trial++) {
      try {
        const answer = await fetch(`live/${mine.name}/${mine.number}`, { cache: "no-store" });
        if (answer.ok) return await answer.arrayBuffer();
        if (answer.status < 500) throw (await answer.json()).error;
      } catch (error) {
        if (typeof error === "string" || trial > 9) {
          stop(typeof error === "string" ? error : "The app cannot be reached.");
          return null;
        }
      }
      await sleep(0.3);
    }
    return null;
  }

  async function play(text) {
    if (!text) return;
    stop();
    players().forEach(rest);
    const told = JSON.parse(text), audio = wake(told.rate), output = audio.createGain(), analyser = audio.createAnalyser();
    analyser.fftSize = 1024;
    output.connect(analyser).connect(audio.destination);
    const mine = run = { ...told, number: 0, next: 0, ahead: AHEAD, output, analyser, began: 0 }, first = [];
    Object.assign(stats, { underruns: 0, chunks: 0, samples: 0 });
    document.getElementById("mk-live").hidden = false;
    bring(document.getElementById("mk-live"));
    paint(mine);
    while (run === mine) {
      const left = mine.next / told.rate - audio.currentTime;
      stats.ahead = mine.next ? left : 0;
      if (mine.next && left > mine.ahead) { await sleep(Math.min(left - mine.ahead + 0.01, 0.25)); continue; }
      const bytes = await fetch_chunk(mine);
      if (!bytes || run !== mine) break;
      mine.number++;
      first.push(buffer_of(audio, bytes, told.rate));
      if (mine.number < FIRST) continue;
      const now = audio.currentTime * told.rate, late = mine.next < now, soon = Math.ceil(now + 0.1 * told.rate);
      if (late && mine.next) {
        stats.underruns++;
        mine.ahead = Math.min(MOST_AHEAD, 2 * mine.ahead);
      }
      if (late) [mine.began, mine.next] = [mine.began + soon - mine.next, soon];
      for (const buffer of first.splice(0)) {
        schedule(audio, output, buffer, mine.next);
        mine.next += buffer.length;
        stats.chunks++;
        stats.samples += buffer.length;
      }
    }
  }

  function stop(sentence = "") {
    if (run) {
      const { name, output } = run;
      run = null;
      output.gain.setTargetAtTime(0, context.currentTime, FADE / 4);
      setTimeout(() => output.disconnect(), 4000 * FADE);
      fetch(`live/${name}/stop`, { method: "POST", keepalive: true }).catch(() => {});
    }
    const strip = document.getElementById("mk-live");
    if (strip) strip.hidden = !sentence;
    say(sentence);
  }

  // A spectrum that wanders from right to left while endless sound plays.
  function paint(mine) {
    if (run !== mine) return;
    const canvas = document.getElementById("mk-sky"), pen = canvas?.getContext("2d");
    if (pen) {
      const levels = new Uint8Array(mine.analyser.frequencyBinCount), { width, height } = canvas;
      mine.analyser.getByteFrequencyData(levels);
      pen.drawImage(canvas, -2, 0);
      for (let row = 0; row < height; row++) {
        const bin = Math.floor(levels.length ** (row / height)) - 1, level = levels[bin] / 255;
        pen.fillStyle = `hsl(${290 + 100 * level} 90% ${70 * level}%)`;
        pen.fillRect(width - 2, height - 1 - row, 2, 1);
      }
    }
    const heard = mine.next ? Math.max(0, context.currentTime - mine.began / mine.rate) : 0;
    const late = stats.underruns ? ` · ${stats.underruns} gaps` : "";
    say(`${mine.next ? "playing" : "starting"} · ${clock(mine.start + heard)}${late}`);
    requestAnimationFrame(() => paint(mine));
  }

  // Players: an audio element each, but for loops, which the audio element would play with a gap at every turn.
  const loops = new WeakMap(); // player -> { buffer, source, began } of a loop that has been played
  const players = () => [...document.querySelectorAll(".mk-player")];
  const audio_of = (player) => player.querySelector("audio");
  const length_of = (player) => Number(player.dataset.seconds);
  const is_playing = (player) => audio_of(player) ? !audio_of(player).paused : !!loops.get(player)?.source;

  function where(player) {
    if (audio_of(player)) return audio_of(player).currentTime;
    const { buffer, source, began, rested } = loops.get(player) ?? {};
    return source ? (context.currentTime - began) % buffer.duration : rested ?? 0;
  }

  function rest(player) {
    if (audio_of(player)) return audio_of(player).pause();
    const loop = loops.get(player);
    if (!loop?.source) return;
    loop.rested = where(player);
    loop.source.stop();
    loop.source = null;
  }

  async function go(player, at = where(player)) {
    stop();
    players().forEach((other) => other !== player && rest(other));
    const audio = audio_of(player);
    if (audio) {
      audio.currentTime = Math.min(at, length_of(player));
      return audio.play();
    }
    rest(player);
    const button = player.querySelector(".mk-turn"), ground = wake(context?.sampleRate);
    if (!loops.has(player)) {
      const bytes = await (await fetch(button.dataset.src)).arrayBuffer();
      loops.set(player, { buffer: await ground.decodeAudioData(bytes) });
    }
    const loop = loops.get(player), source = ground.createBufferSource();
    Object.assign(source, { buffer: loop.buffer, loop: true });
    source.connect(ground.destination);
    source.start(0, at % loop.buffer.duration);
    Object.assign(loop, { source, began: ground.currentTime - at });
  }

  // The other of two pieces, from the second that this one has reached.
  function swap() {
    const [first, second] = ["a", "b"].map((side) => document.querySelector(`#mk-player-${side} .mk-player`));
    if (!first || !second) return;
    const [from, to] = is_playing(second) ? [second, first] : [first, second];
    go(to, Math.min(where(from), length_of(to)));
  }

  // On a phone, what sounds lies below what asks for it; elsewhere it may have been scrolled away.
  const bring = (part) => {
    const box = part?.getBoundingClientRect();
    if (box && (innerWidth < 700 || box.bottom < 0 || box.top > innerHeight))
      part.scrollIntoView({ behavior: "smooth", block: "center" });
  };

  function show() {
    const player = document.querySelector("#mk-player-a .mk-player");
    if (player?.dataset.begin !== undefined) go(player, 0).catch(() => {});
    bring(player);
  }

  function seek(event) {
    const strip = event.target.closest?.(".mk-strip");
    if (!strip || (event.type === "pointermove" && !event.buttons)) return;
    const box = strip.getBoundingClientRect(), player = strip.closest(".mk-player");
    const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * length_of(player);
    if (audio_of(player)) audio_of(player).currentTime = at;
    else if (event.type === "pointerdown") go(player, at);
  }

  function move_heads() {
    for (const player of players()) {
      player.classList.toggle("mk-on", is_playing(player));
      player.querySelector(".mk-head").style.left = `${100 * Math.min(where(player) / length_of(player), 1)}%`;
    }
    requestAnimationFrame(move_heads);
  }

  document.addEventListener("pointerdown", seek);
  document.addEventListener("pointermove", seek);
  document.addEventListener("click", (event) => {
    const player = event.target.closest?.(".mk-turn")?.closest(".mk-player");
    if (player) is_playing(player) ? rest(player) : go(player);
  });
  document.addEventListener("play", (event) => { // one sound at a time; media events do not bubble, so catch them above
    stop();
    players().forEach((other) => audio_of(other) !== event.target && rest(other));
  }, true);
  addEventListener("pagehide", () => stop());
  requestAnimationFrame(move_heads);
  return { wake, play, stop, swap, show, where, is_playing, stats, buffer_of, schedule };
})();
