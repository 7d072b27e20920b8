import type { Findings, HolderFindings, PassFindings } from '../../domain/findings';
import type { FindingsView, PassFindingsView } from '../../wire/operations/repair';

export function viewOfFindings({ found, mended, left }: Findings): FindingsView {
  return {
    found: viewOfPass(found),
    mended: { collections_created: mended.collectionsCreated, moved: mended.moved, removed: mended.removed },
    left: left && viewOfPass(left),
  };
}

function viewOfPass({ totals, collections, samples }: PassFindings): PassFindingsView {
  return {
    totals: {
      collections: totals.collections,
      collections_missing: totals.collectionsMissing,
      collections_not_compared: totals.collectionsNotCompared,
      ...viewOfCounts(totals),
    },
    collections: collections.map((each) => ({
      collection: each.collection,
      not_compared: each.notCompared,
      missing_on: [...each.missingOn],
      other_schema_on: [...each.otherSchemaOn],
      points: each.points,
      by_holder: Object.fromEntries(
        Object.entries(each.byHolder).map(([holder, counts]) => [holder, viewOfCounts(counts)]),
      ),
    })),
    samples: samples.map(({ collection, finding, holder, offset }) => ({ collection, finding, holder, offset })),
  };
}

function viewOfCounts({ points, agreeing, differing, onlyHere, conflicting }: HolderFindings) {
  return { points, agreeing, differing, only_here: onlyHere, conflicting };
}
