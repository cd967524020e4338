# Data sets that stand for one that a paper used are compared with what is published about it.
rule verify:
    input:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        published=collect(
            "published/{file}", file=["data.yaml", "tables.yaml", "notebook_metrics.yaml", "era5_labels.csv"]
        ),
        code=jobs.code("verify.py"),
    output:
        findings=f"{RESULTS}/{{dataset}}/verify.json",
        table=f"{RESULTS}/tables/{{dataset}}.verify.md",
    log:
        f"{RESULTS}/logs/verify/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/verify/{{dataset}}.jsonl"
    wildcard_constraints:
        dataset=jobs.pattern(jobs.published(PLAN)),
    conda:
        "../../environment.yml"
    params:
        published=lambda wildcards: PLAN.datasets[wildcards.dataset].published,
    shell:
        "python -m regimebench verify {input.cube:q} --published {params.published:q} --findings {output.findings:q}"
        " --table {output.table:q} > {log:q} 2>&1"
