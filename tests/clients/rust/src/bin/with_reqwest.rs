use std::io::{stdin, BufRead, BufReader};
use std::time::Duration;

use reqwest::blocking::Client;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (verb, url) = (&arguments[1], &arguments[2]);
    let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
    if verb == "publish" {
        for body in stdin().lines() {
            let answer = client.post(url).header("Content-Type", "application/json").body(body?).send()?;
            println!("{} {}", answer.status().as_u16(), answer.text()?);
        }
    } else {
        let answer = client.get(url).send()?;
        for line in BufReader::new(answer).lines() {
            println!("{}", line?);
        }
        println!("end");
    }
    Ok(())
}
