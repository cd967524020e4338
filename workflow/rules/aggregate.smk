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
        "python -m regimebench aggregate --settings {params.settings:q} --scores {input.scores} --runs {input.runs}"
        " --printed {input.printed} --tables {params.tables} > {log} 2>&1"


# Planted data have a third table, which compares with the truth.
use rule aggregate as aggregate_planted with:
    output:
        multiext(f"{RESULTS}/tables/{{dataset}}.paper", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.standard", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.diagnostics", ".md", ".tex", ".csv"),
        multiext(f"{RESULTS}/tables/{{dataset}}.truth", ".md", ".tex", ".csv"),
    wildcard_constraints:
        dataset=jobs.pattern(PLAN.planted()),


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
        results=RESULTS,
        stem=lambda wildcards, output: output[0].removesuffix(".md"),
    shell:
        "python -m regimebench cost --settings {params.settings:q} --results {params.results} --stem {params.stem}"
        " > {log} 2>&1"
