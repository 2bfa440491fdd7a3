"""What a dashboard is here, and how it becomes Grafana's JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATA_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True)
class Query:
    """PromQL and what its series are called.

    `$namespace` and `$model` stand for what is chosen at the top of the dashboard.
    """

    expr: str
    legend: str = ""


def rate(counter: str, selector: str, by: str) -> str:
    """PromQL: a counter's increase a second, added up by some labels."""
    return f"sum by ({by}) (rate({counter}{{{selector}}}[$__rate_interval]))"


@dataclass(frozen=True)
class Panel:
    """One panel: a graph over time, numbers of now, or a table of now."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Literal["graph", "numbers", "table"] = "graph"
    width: int = 8
    """Of the dashboard's 24 columns."""
    stacked: bool = False
    highest: float | None = None
    """The upper end of the axis, where there is one."""


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]

    def json(self) -> str:
        """As Grafana imports it."""
        board = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(["ru-emotions"])
            .editable()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time("now-6h", "now")
            .refresh("30s")
            .timezone("browser")
            .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
            .with_variable(_choice("namespace", "Namespace", "label_values(emotion_ready, namespace)"))
            .with_variable(_choice("model", "Model", "label_values(emotion_version_served, model)"))
            .link(
                builders.DashboardLink("Emotions")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags(["ru-emotions"])
                .as_dropdown(True)
                .keep_time(True)
                .include_vars(True)
            )
        )
        number = count(1)
        for row in self.rows:
            board = board.with_row(builders.Row(row.title).id(next(number)))
            for panel in row.panels:
                board = board.with_panel(_built(panel).id(next(number)))
        return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _choice(name: str, label: str, query: str) -> builders.QueryVariable:
    """What can be chosen at the top; all at first, and `.*` fits also where there is none, as outside of Kubernetes."""
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATA_SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def _built(panel: Panel) -> timeseries.Panel | stat.Panel | table.Panel:
    kinds = {"graph": _graph, "numbers": stat.Panel, "table": table.Panel}
    built = (
        kinds[panel.kind]()
        .title(panel.title)
        .description(panel.description)
        .datasource(DATA_SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(5 if panel.kind == "numbers" else 8)
        .min(0)
    )
    if panel.highest is not None:
        built = built.max(panel.highest)
    if panel.stacked:
        built = built.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL)).fill_opacity(30)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).legend_format(query.legend)
        if panel.kind == "table":
            target = target.instant().format(PromQueryFormat.TABLE)
        elif panel.kind == "numbers":
            target = target.instant()
        built = built.with_target(target)
    return built


def _graph() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
        .fill_opacity(8)
        .show_points(common.VisibilityMode.NEVER)
    )
