"""What a section found: tables, plots, and how its goals stand. `benches/results/NAME.json` keeps it; `bench-report` makes
RESULTS.md and the plots of these files."""
import json
import os
import statistics
import subprocess
import sys
import time

from lab import machine

FOLDER = os.path.abspath(f"{os.path.dirname(__file__)}/../results")


class Section:
    """A section under way. `work` is a scratch directory, `quick` asks for little of everything."""

    def __init__(self, name, title, text, work, quick):
        self.work, self.quick, self.busiest = work, quick, 0.0
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        self.found = {
            "name": name,
            "title": title,
            "text": text,
            "command": f"tools/bench {name}",
            "date": time.strftime("%Y-%m-%d"),
            "commit": commit.stdout.strip(),
            "machine": machine.facts(work),
            "tables": [],
            "plots": [],
            "goals": [],
            "remarks": [],
        }

    def size(self, little, much):
        """How much of something."""
        return little if self.quick else much

    def table(self, title, columns, rows):
        """A table: the first column names, the others are texts or numbers."""
        rows = [[text if isinstance(text, str) else number(text) for text in row] for row in rows]
        self.found["tables"].append({"title": title, "columns": columns, "rows": rows})
        print(f"\n{title}\n" + "\n".join(" | ".join(row) for row in [columns, *rows]), flush=True)

    def plot(self, name, title, across, up, lines, logarithmic=""):
        """A plot of lines, {name: [(x, y), ..]}; `logarithmic` has x, y or both."""
        lines = [{"name": one, "points": points} for one, points in lines.items()]
        plot = {"name": name, "title": title, "x": across, "y": up, "lines": lines}
        self.found["plots"].append(plot | {"log_x": "x" in logarithmic, "log_y": "y" in logarithmic})

    def goal(self, goal, found, met):
        """What was to be reached, what was, and whether that is enough."""
        self.found["goals"].append({"goal": goal, "found": found, "met": bool(met)})
        print(f"{'met' if met else 'NOT met'}: {goal}: {found}", flush=True)

    def remark(self, text):
        """Something that the reader has to know, such as a peer that is missing."""
        self.found["remarks"].append(text)
        print(text, flush=True)

    def settle(self):
        """Waits until nobody else is busy."""
        self.busiest = max(self.busiest, machine.settle(2 if self.quick else 20))

    def interleaved(self, repetitions, cases):
        """Runs {name: function} in turn, the whole several times; returns the results of each as a list."""
        results = {name: [] for name in cases}
        for repetition in range(repetitions):
            for name, case in cases.items():
                self.settle()
                start = time.perf_counter()
                results[name].append(case())
                print(f"{repetition + 1}/{repetitions} {name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
        return results

    def save(self):
        """Writes the results; a quick run leaves none."""
        if self.quick:
            return
        if self.busiest > 0.2:
            self.remark(f"Others took up to {self.busiest:.0%} of the processors meanwhile.")
        os.makedirs(FOLDER, exist_ok=True)
        with open(f"{FOLDER}/{self.found['name']}.json", "w") as file:
            json.dump(self.found, file, indent=1)
            file.write("\n")


def number(value):
    """A number in as many digits as one reads."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}"


def spread(values):
    """The median, and the least and the most."""
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def percentile(values, share):
    """The value that a share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
