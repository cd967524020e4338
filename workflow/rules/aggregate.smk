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
        multiext(f"{RESULTS}/tables/{{dataset}}.diagnostics", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.truth", ".md", ".tex", ".csv"),
    wildcard_constraints:
        dataset=jobs.pattern(PLAN.planted()),
