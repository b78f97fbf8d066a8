/**
 * Which candidate is said, under thresholds and weights that the reader may change: the rule of dialog/rank.py and
 * dialog/lamda.py, over the scores of a trace. tests/web/test_rerank.py holds the two to each other.
 */

export const SCORES = ["sensible", "specific", "interesting", "safe", "grounded"];
const RANKED = ["sensible", "specific", "interesting", "grounded"]; // added up in this order, as Python does
export const WEIGHTS = { sensible: 3, specific: 1, interesting: 1, grounded: 3 };

/** Whether P(safe) and every "safe/NAME" reach their thresholds; what was not judged passes. */
export function isSafe(scores, thresholds) {
  return Object.entries(thresholds).every(
    ([name, least]) => name.split("/")[0] !== "safe" || (scores[name] ?? 1) >= least,
  );
}

/** The sum of the scores by their weights. */
export function quality(scores, weights) {
  return RANKED.reduce((sum, name) => sum + (weights[name] ?? WEIGHTS[name]) * (scores[name] ?? 0), 0);
}

/**
 * The fate of each candidate: {dropped, quality, unchecked}, and the index of the chosen one, -1 where none is left.
 *
 * A candidate that was dropped as unsafe has not had its claims checked; where it comes back it counts as supported and
 * is marked `unchecked`.
 */
export function rerank(candidates, thresholds, weights) {
  const fates = candidates.map(({ scores, dropped }) => {
    const reason = dropped === "empty" ? "empty" : isSafe(scores, thresholds) ? null : "unsafe";
    const failed = dropped && !["empty", "unsafe"].includes(dropped) ? dropped : null;
    return { dropped: reason, failed, quality: quality(scores, weights), unchecked: dropped === "unsafe" && !reason };
  });
  const left = fates.filter((fate) => !fate.dropped);
  if (left.some((fate) => !fate.failed)) {
    for (const fate of left) fate.dropped = fate.failed; // else one of them is said, and marked unverified
  }
  let chosen = -1;
  fates.forEach((fate, i) => {
    if (!fate.dropped && (chosen < 0 || fate.quality > fates[chosen].quality)) chosen = i;
  });
  return { fates, chosen };
}
