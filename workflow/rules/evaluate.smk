rule evaluate:
    input:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        batches=lambda wildcards: jobs.batch_files(PLAN.results / wildcards.dataset, jobs.batches(PLAN)),
        truth=lambda wildcards: PLAN.truth_files(wildcards.dataset),
        code=jobs.code("evaluate.py"),
    output:
        scores=f"{RESULTS}/{{dataset}}/scores.csv",
        runs=f"{RESULTS}/{{dataset}}/runs.csv",
        agreement=f"{RESULTS}/{{dataset}}/agreement.csv",
        shifted=f"{RESULTS}/{{dataset}}/shifted.csv",
    log:
        f"{RESULTS}/logs/evaluate/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{dataset}}.jsonl"
    conda:
        "../../environment.yml"
    params:
        batches=jobs.text(jobs.batches(PLAN)),
        shifts=PLAN.shifts,
    shell:
        "python -m regimebench evaluate --cube {input.cube} --scores {output.scores} --runs {output.runs}"
        " --agreement {output.agreement} --shifted {output.shifted} --shifts {params.shifts}"
        " --batches {params.batches:q} {input.truth} > {log} 2>&1"
