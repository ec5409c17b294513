// What has been checked, and what failed.

const failures = [];

export const count = () => failures.length;

/** Prints a check and remembers its failures: a list of reasons, empty if it succeeded. */
export function record(check, reasons, milliseconds) {
    const seconds = (milliseconds / 1000).toFixed(1);
    console.log(`${reasons.length === 0 ? "ok  " : "FAIL"} ${check} (${seconds} s)`);
    failures.push(...reasons.map((reason) => `${check}: ${reason}`));
}

/** Prints all failures, then the summary. */
export function conclude(executed) {
    for (const failure of failures) {
        console.log(`failure: ${failure}`);
    }
    console.log(`${executed} operations executed, ${failures.length} failures`);
}
