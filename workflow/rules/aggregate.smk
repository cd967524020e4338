TABLES = ["paper", "standard", "statistics", "diagnostics"]


rule aggregate:
    input:
        scores=f"{RESULTS}/{{dataset}}/scores.csv",
        runs=f"{RESULTS}/{{dataset}}/runs.csv",
        agreement=f"{RESULTS}/{{dataset}}/agreement.csv",
        shifted=f"{RESULTS}/{{dataset}}/shifted.csv",
        printed="published/tables.yaml",
        facts="published/data.yaml",
        code=jobs.code("aggregate.py"),
    output:
        [f"{RESULTS}/tables/{{dataset}}.{kind}{end}" for kind in TABLES for end in (".md", ".tex")],
        [
            report(
                f"{RESULTS}/tables/{{dataset}}.{kind}.csv",
                caption="../report/table.rst",
                category="Tables",
                subcategory="{dataset}",
                labels={"data set": "{dataset}", "table": kind},
            )
            for kind in TABLES
        ],
        f"{RESULTS}/tables/{{dataset}}.statistics.json",
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
        " --agreement {input.agreement:q} --shifted {input.shifted:q} --printed {input.printed:q} --tables {params.tables:q} > {log:q} 2>&1"


# Planted data have a third table, which compares with the truth.
use rule aggregate as aggregate_planted with:
    output:
        [f"{RESULTS}/tables/{{dataset}}.{kind}{end}" for kind in [*TABLES, "truth"] for end in (".md", ".tex")],
        [
            report(
                f"{RESULTS}/tables/{{dataset}}.{kind}.csv",
                caption="../report/table.rst",
                category="Tables",
                subcategory="{dataset}",
                labels={"data set": "{dataset}", "table": kind},
            )
            for kind in [*TABLES, "truth"]
        ],
        f"{RESULTS}/tables/{{dataset}}.statistics.json",
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
        tables=subpath(output[0], parent=True),
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


# Several data sets side by side, as far as their number allows, and real days beside changed ones.
rule across:
    input:
        scores=expand(f"{RESULTS}/{{dataset}}/scores.csv", dataset=PLAN.datasets),
        runs=expand(f"{RESULTS}/{{dataset}}/runs.csv", dataset=PLAN.datasets),
        code=jobs.code("across.py"),
    output:
        multiext(f"{RESULTS}/tables/across", ".md", ".tex", ".csv"),
    log:
        f"{RESULTS}/logs/across.log",
    benchmark:
        f"{RESULTS}/benchmarks/across.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.text(jobs.report_settings(PLAN)),
        tables=subpath(output[0], parent=True),
    shell:
        "python -m regimebench across --settings {params.settings:q} --tables {params.tables:q} > {log:q} 2>&1"


# What the results of all data sets took to compute.
rule cost:
    input:
        runs=expand(f"{RESULTS}/{{dataset}}/runs.csv", dataset=PLAN.datasets),
        code=jobs.code("spent.py"),
    output:
        multiext(f"{RESULTS}/tables/cost", ".md", ".tex", ".csv"),
    log:
        f"{RESULTS}/logs/cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/cost.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.text(jobs.report_settings(PLAN)),
        results=subpath(output[0], ancestor=2),
        stem=lambda wildcards, output: output[0].removesuffix(".md"),
    shell:
        "python -m regimebench cost --settings {params.settings:q} --results {params.results:q} --stem {params.stem:q}"
        " > {log:q} 2>&1"
