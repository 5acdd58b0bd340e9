"""The report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from shared.scorecard import Card
from training_image.report import pictures
from training_image.report.drawing import COLOURS
from training_image.report.findings import Report

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:960px;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:.2rem}h2{margin-top:2.2rem;border-bottom:1px solid #ddd;padding-bottom:.2rem}
table{border-collapse:collapse;margin:.6rem 0}
td,th{padding:.25rem .7rem;border-bottom:1px solid #eee;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}.row{display:flex;flex-wrap:wrap;gap:1rem}
.verdict{display:inline-block;padding:.3rem .9rem;border-radius:.4rem;color:#fff;font-weight:600}
.deploy{background:#3f7f5f}.ask{background:#b9791f}.reject{background:#b23a48}.quiet{color:#777}
.key{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 .8rem;border-radius:.2rem}
svg{max-width:100%;height:auto}
figure{margin:0}figcaption{color:#555;font-size:13px}code{font-size:13px;overflow-wrap:anywhere}
"""


def page(report: Report) -> str:
    """The whole page."""
    run = report.lineage.run
    body = "".join(_sections(report))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(run)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>\n'
    )


def _sections(report: Report) -> Iterator[str]:
    evaluation, card = report.evaluation, report.card
    rival = f"the champion of {evaluation.champion.run}" if evaluation.champion else "always giving the same answer"
    yield f"<h1>{escape(report.lineage.run)}</h1><p class=quiet>{escape(_opening(report, rival))}</p>"
    yield f'<p><span class="verdict {card.verdict.value}">{card.verdict.value} · {card.total} points</span></p>'
    yield f"<p>{escape(card.reason)}</p>"
    yield "<h2>Scorecard</h2>" + _card(card)
    yield f"<h2>Against {escape(rival)}</h2>" + _compared(report)
    yield from _answers(report)
    if report.importance:
        loss = (
            f"What {evaluation.primary} loses when a column is shuffled, on judged rows, with the model as it is served"
        )
        yield "<h2>Importance</h2>" + _figure(pictures.importance(report.importance, evaluation.primary), loss)
    yield from _parts(report)
    yield "<h2>Candidates</h2>" + _candidates(report)
    if evaluation.warnings:
        yield "<h2>Warnings</h2><ul>" + "".join(f"<li>{escape(one)}</li>" for one in evaluation.warnings) + "</ul>"
    yield "<h2>Where it comes from</h2>" + _lineage(report)


def _opening(report: Report, rival: str) -> str:
    evaluation = report.evaluation
    return (
        f"{evaluation.chosen}, a {evaluation.task}; trained on {evaluation.rows_trained} rows, judged on"
        f" {evaluation.rows_judged} new ones, which no answer that counts had been fitted on, against {rival}."
    )


def _card(card: Card) -> str:
    rows = [
        (one.name, "unknown" if one.points is None else str(one.points), str(one.maximum), one.reason)
        for one in card.criteria
    ]
    vetoes = [
        (one.name, {True: "raised", False: "not raised", None: "unknown"}[one.raised], one.reason)
        for one in card.vetoes
    ]
    rubric = f"<p class=quiet>rubric version {card.rubric_version}, digest {card.rubric_digest}</p>"
    return _table(("criterion", "points", "of", "reason"), rows) + _table(("veto", "", "reason"), vetoes) + rubric


def _compared(report: Report) -> str:
    evaluation = report.evaluation
    rows = [
        (one.metric + (" ★" if one.metric == evaluation.primary else ""), _number(one.challenger), _number(one.rival))
        for one in evaluation.comparisons
    ]
    caption = "Challenger minus rival on the same rows, with 95 % intervals; green and red ones exclude zero"
    drawn = pictures.gains(pictures.told(evaluation.comparisons), "challenger against rival")
    return _table(("metric (★ primary)", "challenger", "rival"), rows) + _figure(drawn, caption)


def _answers(report: Report) -> Iterator[str]:
    if report.confusion:
        yield "<h2>Answers</h2><div class=row>"
        yield _figure(pictures.confusion(report.confusion), "True labels in rows, answers in columns")
        yield _figure(
            pictures.calibration(report.calibration), "Calibration: how sure it is, and how often it is right"
        )
        yield "</div>"
    if report.curves:
        keys = "".join(
            f'<span class=key style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(one.label)}'
            for number, one in enumerate(report.curves)
        )
        yield "<div class=row>" + _figure(pictures.roc(report.curves), "ROC, each label against all others")
        yield _figure(pictures.precision_recall(report.curves), "Precision and recall") + f"</div><p>{keys}</p>"
    if report.answered:
        yield "<h2>Answers</h2><div class=row>" + _figure(pictures.answered(report.answered), "True values and answers")
        yield (
            _figure(pictures.residuals(report.answered), "Errors, below zero where the answer is too small") + "</div>"
        )


def _parts(report: Report) -> Iterator[str]:
    evaluation = report.evaluation
    if evaluation.slices:
        compared = [
            (f"{one.column}: {one.value} ({one.rows})", one.comparison.gain)
            for one in evaluation.slices
            if one.comparison
        ]
        few = [f"{one.column}: {one.value} ({one.rows})" for one in evaluation.slices if one.comparison is None]
        caption = f"The gain in {evaluation.primary} per slice, with the number of its judged rows"
        yield "<h2>Slices</h2>" + _figure(pictures.gains(compared, "slices"), caption)
        yield f"<p class=quiet>Too few rows: {escape(', '.join(few))}</p>" if few else ""
    for group in evaluation.groups:
        rows = [(value, str(count), _number(group.scores.get(value))) for value, count in sorted(group.rows.items())]
        gap = group.gap
        found = f"Gap {_number(gap.estimate)} ({_number(gap.low)} … {_number(gap.high)})"
        yield (
            f"<h2>Groups by {escape(group.column)}</h2>" + _table(("group", "rows", "score"), rows) + f"<p>{found}</p>"
        )


def _candidates(report: Report) -> str:
    evaluation = report.evaluation
    rows = [
        (one.name + (" ★" if one.name == evaluation.chosen else ""), _number(one.score),
         ", ".join(map(_number, one.fold_scores)))
        for one in evaluation.candidates
    ]  # fmt: skip
    return _table(("candidate (★ chosen)", evaluation.primary, "per fold"), rows)


def _lineage(report: Report) -> str:
    lineage, code = report.lineage, report.lineage.code
    told = [
        ("rows", f"{lineage.rows} in {len(lineage.window)} new and {len(lineage.earlier)} earlier objects"),
        ("settings", f"generation {lineage.settings_generation}"),
        ("code", " ".join((code.image, "source", code.source_sha256[:16], "commit", code.commit or "unknown"))),
        ("libraries", ", ".join(f"{name} {version}" for name, version in sorted(lineage.library_versions.items()))),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in sorted(lineage.seeds.items()))),
        ("export", f"{report.evaluation.onnx_rows_checked} rows answered as fitted, largest difference"
         f" {report.evaluation.onnx_largest_difference:.2g}"),
        ("anomalies", f"scores above {report.anomaly_threshold:.4f} count as anomalous"),
    ]  # fmt: skip
    objects = [
        (f"<code>{escape(one.object)}</code>", str(one.generation), str(one.rows), f"<code>{one.content[:16]}</code>")
        for one in (*lineage.window, *lineage.earlier)
    ]
    listed = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in objects)
    heads = "<tr><th>object</th><th>generation</th><th>rows</th><th>sha256</th></tr>"
    return _table(("", ""), told) + f"<details><summary>Objects</summary><table>{heads}{listed}</table></details>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(_cell(one) for one in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>" if body else ""


def _cell(said: str) -> str:
    return f"<td{' class=n' if said.lstrip('-+').replace('.', '', 1).isdigit() else ''}>{escape(said)}</td>"


def _figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
