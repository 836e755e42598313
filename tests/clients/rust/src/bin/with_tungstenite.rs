use std::io::stdin;

use tungstenite::protocol::{frame::coding::CloseCode, CloseFrame};
use tungstenite::{connect, Error, Message};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (mut ws, _) = connect(arguments[2].as_str())?;
    if arguments[1] == "ws-publish" {
        for body in stdin().lines() {
            ws.send(Message::text(format!(r#"{{"event":"publish","data":{}}}"#, body?)))?;
            loop {
                match ws.read()? {
                    Message::Text(text) if !text.contains(r#""event":"ping""#) => {
                        println!("{text}");
                        break;
                    }
                    _ => {}
                }
            }
        }
        ws.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))?;
    } else {
    }
    loop {
        match ws.read() {
            Ok(Message::Text(text)) => println!("{text}"),
            Ok(Message::Close(frame)) => println!("close {}", frame.map_or(0, |frame| frame.code.into())),
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
