rule evaluate:
    input:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        batches=lambda wildcards: PLAN.batch_files(wildcards.dataset),
        code=jobs.code("evaluate.py", "metrics"),
    output:
        scores=f"{RESULTS}/{{dataset}}/scores.csv",
        runs=f"{RESULTS}/{{dataset}}/runs.csv",
    log:
        f"{RESULTS}/logs/evaluate/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{dataset}}.jsonl"
    conda:
        "../../environment.yml"
    params:
        truth=f"{RESULTS}/truth/{{dataset}}.csv",
    shell:
        "python -m regimebench evaluate --cube {input.cube} --scores {output.scores} --runs {output.runs}"
        " --truth {params.truth} {input.batches} > {log} 2>&1"
