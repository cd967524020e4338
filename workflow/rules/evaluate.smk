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
        "python -m regimebench evaluate --cube {input.cube:q} --scores {output.scores:q} --runs {output.runs:q}"
        " --agreement {output.agreement:q} --shifted {output.shifted:q} --shifts {params.shifts:q}"
        " --batches {params.batches:q} {input.truth:q} > {log:q} 2>&1"
