rule aggregate:
    input:
        scores=f"{RESULTS}/{{dataset}}/scores.csv",
        runs=f"{RESULTS}/{{dataset}}/runs.csv",
        printed="published/tables.yaml",
        facts="published/data.yaml",
        code=jobs.code("aggregate.py"),
    output:
        multiext(f"{RESULTS}/tables/{{dataset}}.paper", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.standard", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.statistics", ".md", ".tex", ".csv", ".json"),
        multiext(f"{RESULTS}/tables/{{dataset}}.diagnostics", ".md", ".tex", ".csv"),
    log:
        f"{RESULTS}/logs/aggregate/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/aggregate/{{dataset}}.jsonl"
    wildcard_constraints:
        dataset=jobs.pattern(set(PLAN.datasets) - set(PLAN.planted())),
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(jobs.table_settings(PLAN, wildcards.dataset)),
        tables=subpath(output[0], parent=True),
    shell:
        "python -m regimebench aggregate --settings {params.settings:q} --scores {input.scores:q} --runs {input.runs:q}"
        " --printed {input.printed:q} --tables {params.tables:q} > {log:q} 2>&1"


# Planted data have a third table, which compares with the truth.
use rule aggregate as aggregate_planted with:
    output:
        multiext(f"{RESULTS}/tables/{{dataset}}.paper", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.standard", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.statistics", ".md", ".tex", ".csv", ".json"),
        multiext(f"{RESULTS}/tables/{{dataset}}.diagnostics", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.truth", ".md", ".tex", ".csv"),
    wildcard_constraints:
        dataset=jobs.pattern(PLAN.planted()),


# The papers' tables span data sets. Where a run has none of theirs, cells say "no data".
rule paper_tables:
    input:
        scores=expand(f"{RESULTS}/{{dataset}}/scores.csv", dataset=jobs.paper_datasets(PLAN)),
        runs=expand(f"{RESULTS}/{{dataset}}/runs.csv", dataset=jobs.paper_datasets(PLAN)),
        studies=expand(f"{RESULTS}/tables/{{dataset}}.statistics.json", dataset=jobs.published(PLAN)),
        findings=expand(f"{RESULTS}/{{dataset}}/verify.json", dataset=jobs.published(PLAN)),
        printed=collect("published/{file}.yaml", file=["layouts", "tables", "data"]),
        template="workflow/report/grid.html.j2",
        code=jobs.code("paper_tables.py"),
    output:
        [multiext(stem, ".md", ".tex", ".html", ".csv") for stem in jobs.paper_table_stems(PLAN)],
    log:
        f"{RESULTS}/logs/aggregate/paper_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/aggregate/paper_tables.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.text(jobs.paper_settings(PLAN)),
        tables=f"{RESULTS}/tables",
    shell:
        "python -m regimebench paper-tables --settings {params.settings:q} --tables {params.tables:q} > {log:q} 2>&1"


# Checks of the printed numbers that need no data, for the report; docs/audit.md holds the same.
rule audit:
    input:
        published=collect(
            "published/{file}",
            file=["layouts.yaml", "tables.yaml", "data.yaml", "notebook_metrics.yaml", "era5_labels.csv"],
        ),
        templates=collect("workflow/report/{name}.html.j2", name=["audit", "table"]),
        code=jobs.code("audit/__init__.py"),
    output:
        markdown=f"{RESULTS}/tables/audit.md",
        html=f"{RESULTS}/tables/audit.html",
    log:
        f"{RESULTS}/logs/aggregate/audit.log",
    conda:
        "../../environment.yml"
    shell:
        "python -m regimebench audit --out {output.markdown:q} --html {output.html:q} > {log:q} 2>&1"
