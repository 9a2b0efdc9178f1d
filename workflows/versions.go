package workflows

// How workflows change.
//
// A worker that takes over a running workflow runs its code again from the start and compares what it does with the
// history. Code that starts, waits for or records something else than the code that made the history, or in another
// order, cannot go on: the workflow hangs until code comes that can. Harmless are changes of activities, of texts for the
// Web UI, of timeouts and retries, of the length of a timer, and of what comes after a point that no running workflow
// has passed.
//
// TestReplay runs today's code on what earlier releases have recorded in testdata/replay. Where it fails, the change
// needs one of these:
//
//   - workflow.GetVersion(ctx, changeID, workflow.DefaultVersion, 1) around what changed. Its id names what changed, not
//     when or for what ticket, such as "backfill: one submission at a time", and is a constant in this file with a comment
//     that says what either branch does. The next change of the same place raises the highest version, not the id.
//   - Worker versioning, where branches would be many: workers with --deployment-name and another --build-id than the old
//     ones. Running workflows stay with the workers that began them, which must be kept until the last of them has ended;
//     those that wait for weeks may need long.
//
// A branch for old histories stays until no release in testdata/replay has any that needs it. A release's histories stay
// there for as long as a workflow that it began may run, and Temporal keeps it: at least a namespace's retention after
// the last deployment of that release. Then its directory goes, and with it the branch; the call of GetVersion stays with
// the lowest version raised, since running workflows have its marker in their histories.
//
// Nothing has changed since the first recorded release, so there is no version yet.
