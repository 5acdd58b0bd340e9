"""The model card, with the front matter that Hugging Face reads: what the model is, is good for, and is not."""

from __future__ import annotations

import json
from collections.abc import Iterator

from training_image.report.findings import Report


def model_card(report: Report) -> str:
    """The card as Markdown; the front matter is YAML, whose strings are JSON's."""
    return "\n".join([*_front_matter(report), *_text(report)]) + "\n"


def _front_matter(report: Report) -> Iterator[str]:
    evaluation, run = report.evaluation, report.lineage.run
    yield "---"
    yield "library_name: onnx"
    yield f"pipeline_tag: tabular-{evaluation.task}"
    yield f"tags: [serin, {evaluation.task}, {json.dumps(evaluation.chosen)}]"
    yield "model-index:"
    yield f"- name: {json.dumps(run)}"
    yield "  results:"
    yield f"  - task: {{type: tabular-{evaluation.task}}}"
    yield f"    dataset: {{name: {json.dumps(f'the new rows of {run}')}, type: private}}"
    yield "    metrics:"
    for one in evaluation.comparisons:
        if one.challenger is not None:
            yield f"    - {{type: {one.metric}, value: {one.challenger:.6g}}}"
    yield "---"
    yield ""


def _text(report: Report) -> Iterator[str]:
    evaluation, lineage, card = report.evaluation, report.lineage, report.card
    target = lineage.settings["data"]["target"]
    yield f"# {lineage.run}"
    yield ""
    yield f"A {evaluation.chosen} that answers `{target}`, made by Serin; beside it an isolation forest."
    yield ""
    yield "## What it is for"
    yield ""
    yield (
        f"Rows like those it was trained on, {evaluation.rows_trained} of them. It was judged on"
        f" {evaluation.rows_judged} new rows that no answer that counts had been fitted on;"
        " about rows from elsewhere this card says nothing."
    )
    yield ""
    yield "## How it did"
    yield ""
    yield f"{card.total} of 100 points (rubric {card.rubric_version}, {card.rubric_digest}): {card.verdict.value}."
    yield ""
    yield "| metric | challenger | rival | gain, 95 % interval |"
    yield "|---|---|---|---|"
    for one in evaluation.comparisons:
        gain = one.gain
        interval = f"{_told(gain.estimate)} ({_told(gain.low)} … {_told(gain.high)})"
        yield f"| {one.metric} | {_told(one.challenger)} | {_told(one.rival)} | {interval} |"
    yield ""
    yield "## What to be careful with"
    yield ""
    known = [*evaluation.warnings, *(veto.reason for veto in card.vetoes if veto.raised is not False)]
    yield from (f"- {one}" for one in known or ["nothing that training has noticed"])
    yield ""
    yield "## Where it comes from"
    yield ""
    yield f"Settings generation {lineage.settings_generation}, seed {lineage.seeds.get('fit')}, source"
    yield f"`{lineage.code.source_sha256[:16]}`; every object, generation and digest is in `lineage.json`."


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
