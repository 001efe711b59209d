"""A renderer: the peaks of all tests in all metrics, as CSV."""

import csv
import io


class PeakTable:
    """Writes ``pytest --mem-output peaks=peaks.csv``."""

    name = "peaks"

    def render(self, run):
        """A line for each test and metric."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["test", "metric", "peak"])
        for outcome in run.outcomes:
            call = outcome.phase("call")
            for peak in call.peaks if call is not None else ():
                writer.writerow([outcome.nodeid, peak.metric, peak.value])
        return out.getvalue()
