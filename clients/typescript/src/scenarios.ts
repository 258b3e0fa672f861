// Plays the scenarios that the clients in every language share against a running service, and reports what differs.
import { readFile } from "node:fs/promises";
import { play, type Scenario } from "./scenario.js";

const scenarios = JSON.parse(
  await readFile(new URL("../../scenarios.json", import.meta.url), "utf8"),
) as Scenario[];

let passed = 0;
for (const scenario of scenarios) {
  const differences = await play(scenario);
  if (differences.length === 0) {
    passed++;
    continue;
  }
  console.log(`FAILED: ${scenario.name}`);
  for (const difference of differences) {
    console.log(`  ${difference}`);
  }
}
const failed = scenarios.length - passed;
// Nothing at all being played is no success.
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed`);
