// @ts-check
// How loud a microphone is.

const EVERY_MS = 60;

/**
 * Reports the level of a stream, 0 to 1, until the answered function is called.
 * @param {MediaStream} stream
 * @param {(level: number) => void} report
 * @returns {() => void}
 */
export function meter(stream, report) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  void context.resume();
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    // Decibels below full scale, -60 to 0, as a share: that is how loudness is felt.
    const decibels = 10 * Math.log10(sum / samples.length + 1e-9);
    report(Math.min(1, Math.max(0, (decibels + 60) / 60)));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
